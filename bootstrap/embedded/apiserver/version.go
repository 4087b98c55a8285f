package apiserver

import (
	"runtime/debug"

	"k8s.io/apimachinery/pkg/version"
	"k8s.io/component-base/compatibility"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

// kubernetesModule is where the API server's code comes from.
const kubernetesModule = "k8s.io/kubernetes"

// released is a version that knows its release. Kubernetes' own build writes
// that in by linker flags; a library has it from the module's version.
type released struct {
	compatibility.EffectiveVersion
	release string // as in v1.37.2
}

// Info implements compatibility.EffectiveVersion.
func (r released) Info() *version.Info {
	info := r.EffectiveVersion.Info()
	info.GitVersion, info.GitCommit, info.GitTreeState = r.release, "", ""
	return info
}

// nameVersion lets the API server say what it is: kubectl and Helm ask.
func nameVersion(c *app.Config) {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return
	}
	for _, module := range build.Deps {
		if module.Path != kubernetesModule {
			continue
		}
		for _, generic := range []*compatibility.EffectiveVersion{
			&c.KubeAPIs.ControlPlane.Generic.EffectiveVersion,
			&c.ApiExtensions.GenericConfig.EffectiveVersion,
			&c.Aggregator.GenericConfig.EffectiveVersion,
		} {
			*generic = released{*generic, module.Version}
		}
	}
}
