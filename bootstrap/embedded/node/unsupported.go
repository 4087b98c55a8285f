package node

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// reasonUnsupported is the reason of a Failed pod that asks for what this
// engine cannot do.
const reasonUnsupported = "Unsupported"

// Unsupported lists what spec asks for and pods that are processes of this
// machine cannot have. A pod with any of it is not run: left out in silence,
// it would fail in ways that are hard to understand.
//
// Limits on resources and what else narrows a container's rights (dropped
// capabilities, seccomp) are not in the list: a pod works without them.
func Unsupported(spec *corev1.PodSpec) field.ErrorList {
	r := refusals{}
	path := field.NewPath("spec")
	r.pod(path, spec)
	for i := range spec.Volumes {
		r.volume(path.Child("volumes").Index(i), &spec.Volumes[i])
	}
	for i := range spec.InitContainers {
		r.container(path.Child("initContainers").Index(i), &spec.InitContainers[i])
	}
	for i := range spec.Containers {
		r.container(path.Child("containers").Index(i), &spec.Containers[i])
	}
	return r.list
}

type refusals struct{ list field.ErrorList }

// when refuses the field at path if it is used. The sentence that says why goes
// on after "the embedded engine".
func (r *refusals) when(used bool, path *field.Path, why string) {
	if used {
		r.list = append(r.list, field.Forbidden(path, "the embedded engine "+why+"; the kind engine can run this"))
	}
}

func (r *refusals) pod(path *field.Path, spec *corev1.PodSpec) {
	r.when(spec.HostNetwork, path.Child("hostNetwork"), "gives no pod the machine's network to itself")
	r.when(spec.HostPID, path.Child("hostPID"), "does not share the machine's processes")
	r.when(spec.HostIPC, path.Child("hostIPC"), "does not share the machine's IPC")
	r.when(spec.ShareProcessNamespace != nil && *spec.ShareProcessNamespace, path.Child("shareProcessNamespace"),
		"does not share processes between containers")
	r.when(spec.RuntimeClassName != nil, path.Child("runtimeClassName"), "has one way to run containers")
	r.when(spec.OS != nil && spec.OS.Name == corev1.Windows, path.Child("os"), "does not run Windows containers")
	r.when(len(spec.HostAliases) > 0, path.Child("hostAliases"), "gives every pod the same names")
	r.when(spec.DNSConfig != nil, path.Child("dnsConfig"), "gives every pod the same names")
	r.when(len(spec.ResourceClaims) > 0, path.Child("resourceClaims"), "has no devices to give")
	r.when(spec.AutomountServiceAccountToken != nil && *spec.AutomountServiceAccountToken,
		path.Child("automountServiceAccountToken"), "has no service account tokens")
}

// volume refuses all kinds of volumes but those the node can make of files.
func (r *refusals) volume(path *field.Path, v *corev1.Volume) {
	s := v.VolumeSource
	switch {
	case s.EmptyDir != nil:
		huge := strings.HasPrefix(string(s.EmptyDir.Medium), string(corev1.StorageMediumHugePages))
		r.when(huge, path.Child("emptyDir", "medium"), "has no huge pages")
	case s.ConfigMap != nil, s.Secret != nil, s.DownwardAPI != nil:
	case s.Projected != nil:
		for i, p := range s.Projected.Sources {
			at := path.Child("projected", "sources").Index(i)
			r.when(p.ServiceAccountToken != nil, at.Child("serviceAccountToken"), "has no service account tokens")
			r.when(p.ClusterTrustBundle != nil, at.Child("clusterTrustBundle"), "has no cluster trust bundles")
			r.when(p.PodCertificate != nil, at.Child("podCertificate"), "has no pod certificates")
		}
	case s.HostPath != nil:
		r.when(true, path.Child("hostPath"), "does not open the machine's files to pods")
	case s.PersistentVolumeClaim != nil:
		r.when(true, path.Child("persistentVolumeClaim"), "has no persistent volumes")
	case s.Ephemeral != nil:
		r.when(true, path.Child("ephemeral"), "has no persistent volumes")
	case s.Image != nil:
		r.when(true, path.Child("image"), "does not mount images")
	case s.CSI != nil:
		r.when(true, path.Child("csi"), "has no storage drivers")
	case s.NFS != nil:
		r.when(true, path.Child("nfs"), "does not mount file systems of other machines")
	default:
		r.when(true, path, "has volumes of emptyDir, configMap, secret, downwardAPI and projected only")
	}
}

func (r *refusals) container(path *field.Path, c *corev1.Container) {
	r.security(path.Child("securityContext"), c.SecurityContext)
	for _, resource := range slices.Sorted(maps.Keys(c.Resources.Limits)) {
		r.when(!ordinary(resource), path.Child("resources", "limits").Key(string(resource)), "has no such resource")
	}
	for _, resource := range slices.Sorted(maps.Keys(c.Resources.Requests)) {
		r.when(!ordinary(resource), path.Child("resources", "requests").Key(string(resource)), "has no such resource")
	}
	for i, p := range c.Ports {
		r.when(p.HostPort != 0, path.Child("ports").Index(i).Child("hostPort"), "does not forward the machine's ports")
	}
	r.when(len(c.VolumeDevices) > 0, path.Child("volumeDevices"), "has no block devices")
	r.when(c.TTY, path.Child("tty"), "has no terminals for containers")
	const noExec = "does not run commands in a running container"
	r.when(hasExec(c.LivenessProbe), path.Child("livenessProbe", "exec"), noExec)
	r.when(hasExec(c.ReadinessProbe), path.Child("readinessProbe", "exec"), noExec)
	r.when(hasExec(c.StartupProbe), path.Child("startupProbe", "exec"), noExec)
	if c.Lifecycle != nil {
		r.hook(path.Child("lifecycle", "postStart"), c.Lifecycle.PostStart, noExec)
		r.hook(path.Child("lifecycle", "preStop"), c.Lifecycle.PreStop, noExec)
	}
}

func (r *refusals) hook(path *field.Path, h *corev1.LifecycleHandler, noExec string) {
	r.when(h != nil && h.Exec != nil, path.Child("exec"), noExec)
	r.when(h != nil && h.TCPSocket != nil, path.Child("tcpSocket"), "does as Kubernetes and has no such hook")
}

func hasExec(p *corev1.Probe) bool { return p != nil && p.Exec != nil }

func (r *refusals) security(path *field.Path, s *corev1.SecurityContext) {
	if s == nil {
		return
	}
	r.when(s.Privileged != nil && *s.Privileged, path.Child("privileged"), "gives no rights over the machine")
	r.when(s.Capabilities != nil && len(s.Capabilities.Add) > 0, path.Child("capabilities", "add"), "gives no rights over the machine")
}

// ordinary says whether a container may ask for resource: it then shares in
// what the machine has.
func ordinary(resource corev1.ResourceName) bool {
	switch resource {
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return true
	}
	return false
}
