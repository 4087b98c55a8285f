package desired

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// ownMetadata are labels and annotations that speak of a revision and not of
// its pods, and one that is the node's to write: a template that could say
// where its pods listen could have another's requests for its own.
var ownMetadata = []string{
	servingv1.RoutingStateLabel, servingv1.RoutingStateModified, servingv1.RouteLabel, servingv1.RoutesAnnotation,
	servingv1.PortsAnnotation, servingv1.MeshLabel,
}

// Pod is one pod of a revision: the user's containers, and queue-proxy in
// front of them.
//
//	request ──:8012──> queue-proxy ──:$PORT──> user-container
//
// Images are those that rev's status has resolved to a digest, where it has.
// Place says where the pod is to run.
func Pod(rev *servingv1.Revision, queue Queue, place Place) *corev1.Pod {
	rev = rev.DeepCopy()
	rev.SetDefaults()
	pod := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName:    servingv1.PodPrefix(rev.Name),
			Namespace:       rev.Namespace,
			Labels:          podLabels(rev),
			Annotations:     merged(rev.Annotations),
			OwnerReferences: ownedBy(rev, "Revision"),
		},
		Spec: rev.Spec.Kubernetes(),
	}
	for _, key := range ownMetadata {
		delete(pod.Annotations, key)
	}
	serving := rev.Spec.ServingContainer()
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		resolveImage(c, rev)
		userContainer(c, rev)
		if serving != nil && c.Name == serving.Name {
			servingContainer(c, serving)
		}
	}
	for i := range pod.Spec.InitContainers {
		resolveImage(&pod.Spec.InitContainers[i], rev)
	}
	pod.Spec.Containers = append(pod.Spec.Containers, queue.container(rev))
	pod.Spec.NodeName = place.Node
	if Sidecar(rev, place.Mesh) {
		meshed(pod)
	}
	withoutToken(&pod.Spec)
	// A container that ends is started again in its place, and its end can be
	// read from the pod: a crash is known within a second.
	pod.Spec.RestartPolicy = corev1.RestartPolicyAlways
	// A request that has begun may run as long as any other.
	pod.Spec.TerminationGracePeriodSeconds = rev.Spec.TimeoutSeconds
	return pod
}

// withoutToken leaves the API server's token out of a pod that has asked for
// neither a token nor an account of its own. The default account may do
// nothing with it, and for the volume it comes in, kubelet waits 300 ms of
// every start (podAttachAndMountRetryInterval in its volume manager).
func withoutToken(spec *corev1.PodSpec) {
	if spec.AutomountServiceAccountToken == nil && (spec.ServiceAccountName == "" || spec.ServiceAccountName == "default") {
		spec.AutomountServiceAccountToken = new(false)
	}
}

func podLabels(rev *servingv1.Revision) map[string]string {
	// What the template says of app is the user's own: it is the label that
	// their selectors go by.
	labels := merged(map[string]string{"app": rev.Name}, rev.Labels, map[string]string{
		servingv1.RevisionLabel:    rev.Name,
		servingv1.RevisionUIDLabel: string(rev.UID),
	})
	for _, key := range ownMetadata {
		delete(labels, key)
	}
	return labels
}

func resolveImage(c *corev1.Container, rev *servingv1.Revision) {
	for _, s := range rev.Status.ContainerStatuses {
		if s.Name == c.Name && s.ImageDigest != "" {
			c.Image = s.ImageDigest
		}
	}
}

// userContainer makes c one of the user's containers of rev.
func userContainer(c *corev1.Container, rev *servingv1.Revision) {
	c.Env = append(c.Env,
		corev1.EnvVar{Name: "K_SERVICE", Value: rev.Labels[servingv1.ServiceLabel]},
		corev1.EnvVar{Name: "K_CONFIGURATION", Value: rev.Labels[servingv1.ConfigurationLabel]},
		corev1.EnvVar{Name: "K_REVISION", Value: rev.Name},
	)
	// It goes on until queue-proxy has answered the last request.
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
		Port: intstr.FromInt32(servingv1.QueueAdminPort), Path: "/wait-for-drain",
	}}}
	if c.TerminationMessagePolicy == "" {
		// A crash is then told in the container's own words.
		c.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	}
}

// servingContainer makes c the container that takes the requests. Its
// readiness is queue-proxy's to ask, every few milliseconds; only a command
// inside the container is left to kubelet.
func servingContainer(c *corev1.Container, spec *servingv1.Container) {
	port := spec.UserPort()
	c.Ports = []corev1.ContainerPort{{Name: servingv1.UserPortName, ContainerPort: port, Protocol: corev1.ProtocolTCP}}
	c.Env = append(c.Env, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(int(port))})
	if c.ReadinessProbe != nil && c.ReadinessProbe.Exec == nil {
		c.ReadinessProbe = nil
	}
}
