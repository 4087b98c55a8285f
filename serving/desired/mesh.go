package desired

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Place is where a pod is to run.
type Place struct {
	// Node, if any, binds the pod to a node without the scheduler.
	Node string
	// Mesh says that its namespace is one whose pods Istio gives a sidecar.
	Mesh bool
}

// Istio's names. What a template says of injection is a label; older ones say
// it in an annotation, at which Istio's webhooks do not look any more unless
// the namespace has them called.
const (
	injectKey        = "sidecar.istio.io/inject"
	excludeInboundBy = "traffic.sidecar.istio.io/excludeInboundPorts"

	// Which of istiod's templates make a pod's sidecar, and the one of
	// charts/istio for pods that start while a request waits.
	templatesKey  = "inject.istio.io/templates"
	quickTemplate = "devbox"

	// InjectionLabel, with InjectionEnabled, is on a namespace whose pods are
	// given a sidecar; RevisionLabel too, with the name of an istiod, where the
	// first is not there.
	InjectionLabel   = "istio-injection"
	InjectionEnabled = "enabled"
	RevisionLabel    = "istio.io/rev"

	// LedAnnotation is on a namespace that the box has led into the mesh, by
	// the first of the labels, or out of it again.
	LedAnnotation = "devbox.dev/mesh"
)

// InMesh says whether a namespace with these labels is one whose pods Istio
// gives a sidecar.
func InMesh(namespace map[string]string) bool {
	if value, ok := namespace[InjectionLabel]; ok {
		return value == InjectionEnabled
	}
	return namespace[RevisionLabel] != ""
}

// Unled says whether a namespace has nothing to say of the mesh, and never had:
// neither did anybody label it, nor did the box.
func Unled(labels, annotations map[string]string) bool {
	_, injection := labels[InjectionLabel]
	return !injection && labels[RevisionLabel] == "" && annotations[LedAnnotation] == ""
}

// Sidecar says whether rev's pods are to have a sidecar: what its template
// says, else what its namespace does.
func Sidecar(rev *servingv1.Revision, mesh bool) bool {
	if said := injection(rev); said != "" {
		return said == "true"
	}
	return mesh
}

func injection(rev *servingv1.Revision) string {
	if said, ok := rev.Labels[injectKey]; ok {
		return said
	}
	return rev.Annotations[injectKey]
}

// inTheClear are the ports of queue-proxy that kubelet and Prometheus call,
// who have no certificate: the sidecar leaves them alone.
var inTheClear = []int{servingv1.QueueAdminPort, servingv1.AutometricPort, servingv1.UsermetricPort}

// TokenSecret is the Secret from which the sidecars of a service account's
// pods have their token; the template names it too.
func TokenSecret(account string) string { return "istio-token." + account }

// defaultContainer is the annotation by which kubectl chooses a container, the
// first of them where it is not there.
const defaultContainer = "kubectl.kubernetes.io/default-container"

// meshed makes pod one that gets a sidecar. Kubelet makes containers in their
// order: queue-proxy's, which asks for nothing, can be made while the sidecar
// starts, and the user's are to find it ready.
func meshed(pod *corev1.Pod) {
	last := len(pod.Spec.Containers) - 1
	pod.Spec.Containers = slices.Insert(pod.Spec.Containers[:last:last], 0, pod.Spec.Containers[last])
	if _, own := pod.Annotations[defaultContainer]; !own && last > 0 {
		pod.Annotations[defaultContainer] = pod.Spec.Containers[1].Name
	}
	pod.Labels[servingv1.MeshLabel] = servingv1.MeshSidecar
	if said, ok := pod.Annotations[injectKey]; ok && pod.Labels[injectKey] == "" {
		pod.Labels[injectKey] = said
	}
	ports := strings.FieldsFunc(pod.Annotations[excludeInboundBy], func(r rune) bool { return r == ',' })
	for _, port := range inTheClear {
		if text := strconv.Itoa(port); !slices.Contains(ports, text) {
			ports = append(ports, text)
		}
	}
	pod.Annotations[excludeInboundBy] = strings.Join(ports, ",")
	if _, own := pod.Annotations[templatesKey]; !own {
		pod.Annotations[templatesKey] = quickTemplate
	}
}
