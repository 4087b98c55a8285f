package desired

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// Queue is what queue-proxy is made of in every pod of the box.
type Queue struct {
	// Image is queue-proxy's image.
	Image string
	// DrainQuietPeriod is how long a pod that is to end must have seen no
	// request before it does.
	DrainQuietPeriod time.Duration
	// LogTemplate is what queue-proxy writes of every request. Where it is
	// empty, nothing is.
	LogTemplate string
	// LogProbes says that it writes of probes too.
	LogProbes bool
	// OTelMetrics says that its metrics have upstream's names since 1.19 too.
	OTelMetrics bool
	// Resources are what it asks for and its limits, where no annotation of a
	// revision says otherwise.
	Resources corev1.ResourceRequirements
	// Tracing is what queue-proxy traces.
	Tracing trace.Settings
}

// queueUser is the user of our own images: nobody in particular.
const queueUser = 65532

// tracingEndpoint is the variable that tells queue-proxy of a collector.
const tracingEndpoint = "TRACING_ENDPOINT"

// container is queue-proxy for a pod of rev, which has its defaults.
func (q Queue) container(rev *servingv1.Revision) corev1.Container {
	return corev1.Container{
		Name:            servingv1.QueueContainer,
		Image:           q.Image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		Env:             q.env(rev),
		Ports: []corev1.ContainerPort{
			{Name: servingv1.HTTPPortName, ContainerPort: servingv1.HTTPPort, Protocol: corev1.ProtocolTCP},
			{Name: servingv1.QueueAdminPortName, ContainerPort: servingv1.QueueAdminPort, Protocol: corev1.ProtocolTCP},
			{Name: servingv1.AutometricPortName, ContainerPort: servingv1.AutometricPort, Protocol: corev1.ProtocolTCP},
			{Name: servingv1.UsermetricPortName, ContainerPort: servingv1.UsermetricPort, Protocol: corev1.ProtocolTCP},
		},
		Resources: queueResources(rev, q.Resources),
		// The pod is ready when queue-proxy says that the user container is.
		// The activator asks the same, without waiting for kubelet.
		ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
				Port:        intstr.FromInt32(servingv1.HTTPPort),
				HTTPHeaders: []corev1.HTTPHeader{{Name: "K-Network-Probe", Value: "queue"}},
			}},
			PeriodSeconds: 1,
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			RunAsNonRoot:             new(true),
			RunAsUser:                new(int64(queueUser)),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
			SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}
}

func (q Queue) env(rev *servingv1.Revision) []corev1.EnvVar {
	serving := rev.Spec.ServingContainer()
	if serving == nil {
		serving = &servingv1.Container{}
	}
	seconds := func(n *int64) string { return strconv.FormatInt(*n, 10) }
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}}
	}
	env := []corev1.EnvVar{
		{Name: "QUEUE_LISTEN_HOST", ValueFrom: field("status.podIP")}, // where pods share a network, each has an address
		{Name: "QUEUE_SERVING_PORT", Value: strconv.Itoa(servingv1.HTTPPort)},
		{Name: "QUEUE_ADMIN_PORT", Value: strconv.Itoa(servingv1.QueueAdminPort)},
		{Name: "QUEUE_AUTOMETRIC_PORT", Value: strconv.Itoa(servingv1.AutometricPort)},
		{Name: "QUEUE_USERMETRIC_PORT", Value: strconv.Itoa(servingv1.UsermetricPort)},
		{Name: "USER_PORT", Value: strconv.Itoa(int(serving.UserPort()))},
		{Name: "USER_PROTOCOL", Value: serving.Protocol()},
		{Name: "CONTAINER_CONCURRENCY", Value: seconds(rev.Spec.ContainerConcurrency)},
		{Name: "REVISION_TIMEOUT_SECONDS", Value: seconds(rev.Spec.TimeoutSeconds)},
		{Name: "REVISION_RESPONSE_START_TIMEOUT_SECONDS", Value: seconds(rev.Spec.ResponseStartTimeoutSeconds)},
		{Name: "REVISION_IDLE_TIMEOUT_SECONDS", Value: seconds(rev.Spec.IdleTimeoutSeconds)},
		{Name: "SERVING_NAMESPACE", Value: rev.Namespace},
		{Name: "SERVING_SERVICE", Value: rev.Labels[servingv1.ServiceLabel]},
		{Name: "SERVING_CONFIGURATION", Value: rev.Labels[servingv1.ConfigurationLabel]},
		{Name: "SERVING_REVISION", Value: rev.Name},
		{Name: "SERVING_POD", ValueFrom: field("metadata.name")},
		{Name: "SERVING_POD_IP", ValueFrom: field("status.podIP")},
		{Name: "SERVING_READINESS_PROBE", Value: readinessProbe(serving)},
		{Name: "DRAIN_QUIET_PERIOD", Value: q.DrainQuietPeriod.String()},
	}
	if q.OTelMetrics {
		env = append(env, corev1.EnvVar{Name: "SERVING_REQUEST_METRICS_PROTOCOL", Value: "prometheus"})
	}
	return append(append(env, q.logEnv()...), q.traceEnv()...)
}

// logEnv asks for the request log.
func (q Queue) logEnv() []corev1.EnvVar {
	if q.LogTemplate == "" {
		return nil
	}
	return []corev1.EnvVar{
		// Kubelet puts variables in the place of $(NAME), and $ in that of $$.
		{Name: "SERVING_REQUEST_LOG_TEMPLATE", Value: strings.ReplaceAll(q.LogTemplate, "$", "$$")},
		{Name: "SERVING_ENABLE_PROBE_REQUEST_LOG", Value: strconv.FormatBool(q.LogProbes)},
	}
}

// traceEnv asks for spans.
func (q Queue) traceEnv() []corev1.EnvVar {
	if q.Tracing.Protocol == trace.Off {
		return nil
	}
	return []corev1.EnvVar{
		{Name: "TRACING_PROTOCOL", Value: string(q.Tracing.Protocol)},
		{Name: tracingEndpoint, Value: strings.ReplaceAll(q.Tracing.Endpoint, "$", "$$")},
		{Name: "TRACING_SAMPLING_RATE", Value: strconv.FormatFloat(q.Tracing.Rate, 'g', -1, 64)},
	}
}

// readinessProbe is the probe that queue-proxy makes, as JSON. A command
// inside the user container is kubelet's to run: queue-proxy then asks that
// the port accepts connections. Port 0 is USER_PORT, so that one place says
// what that is.
func readinessProbe(c *servingv1.Container) string {
	probe := c.ReadinessProbe.Kubernetes(0)
	if probe == nil {
		probe = &corev1.Probe{SuccessThreshold: 1}
	}
	if probe.Exec != nil || probe.ProbeHandler == (corev1.ProbeHandler{}) {
		probe.ProbeHandler = corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{}}
	}
	own := intstr.FromInt32(c.UserPort())
	switch {
	case probe.HTTPGet != nil && probe.HTTPGet.Port == own:
		probe.HTTPGet.Port = intstr.IntOrString{}
	case probe.TCPSocket != nil && probe.TCPSocket.Port == own:
		probe.TCPSocket.Port = intstr.IntOrString{}
	case probe.GRPC != nil && probe.GRPC.Port == own.IntVal:
		probe.GRPC.Port = 0
	}
	data, err := json.Marshal(probe)
	if err != nil {
		panic(err) // a struct of strings and numbers
	}
	return string(data)
}
