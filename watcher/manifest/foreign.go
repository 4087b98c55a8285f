package manifest

import (
	"path/filepath"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/yaml"
)

// toolGroups are API groups of files that look like objects and are read by a
// program of the developer's, not by a cluster.
var toolGroups = map[string]string{
	"skaffold":                     "Skaffold",
	"kustomize.config.k8s.io":      "kustomize",
	"kind.x-k8s.io":                "kind",
	"k3d.io":                       "k3d",
	"kubeadm.k8s.io":               "kubeadm",
	"kubelet.config.k8s.io":        "the kubelet",
	"kubeproxy.config.k8s.io":      "kube-proxy",
	"apiserver.config.k8s.io":      "the API server",
	"audit.k8s.io":                 "the API server",
	"kubescheduler.config.k8s.io":  "the scheduler",
	"client.authentication.k8s.io": "kubectl",
	"install.istio.io":             "istioctl",
}

// foreign says why a document is nothing that is applied to a cluster, or
// nothing if it may be.
func foreign(o Object) string {
	version, kind := o.GetAPIVersion(), o.GetKind()
	group, _, _ := strings.Cut(version, "/")
	switch tool := toolGroups[group]; {
	case isKustomization(filepath.Base(o.File)):
		return "it is kustomize's, which devbox does not run; the files beside it are applied as they are"
	case version == "" && kind == "":
		return "it is no Kubernetes object: it has no apiVersion and no kind"
	case version == "":
		return "it is no Kubernetes object: it has no apiVersion"
	case kind == "":
		return "it is no Kubernetes object: it has no kind"
	case tool != "":
		return "it is for " + tool + " and not for a cluster"
	case version == "v1" && kind == "Config":
		return "it is a kubeconfig"
	}
	return ""
}

func isKustomization(name string) bool {
	return slices.Contains([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"}, name)
}

// patchesOf are the files that a kustomization names as patches.
func patchesOf(file string, data []byte) []string {
	if !isKustomization(filepath.Base(file)) {
		return nil
	}
	var k struct {
		Patches, PatchesJSON6902 []struct{ Path string }
		PatchesStrategicMerge    []string
		Transformers, Generators []string
	}
	if err := kyaml.Unmarshal(data, &k); err != nil {
		return nil
	}
	files := slices.Concat(k.PatchesStrategicMerge, k.Transformers, k.Generators)
	for _, p := range slices.Concat(k.Patches, k.PatchesJSON6902) {
		files = append(files, p.Path)
	}
	return files
}
