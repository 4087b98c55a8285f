package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PodSpec is the part of Kubernetes' PodSpec that Knative Serving accepts by
// default. Fields behind Knative's feature flags are not in it, nor in any
// type below, so that the API server itself refuses them by name.
type PodSpec struct {
	// +listType=map
	// +listMapKey=name
	Volumes        []Volume    `json:"volumes,omitempty"`
	InitContainers []Container `json:"initContainers,omitempty"`
	// +kubebuilder:validation:MinItems=1
	Containers                   []Container                   `json:"containers"`
	ServiceAccountName           string                        `json:"serviceAccountName,omitempty"`
	AutomountServiceAccountToken *bool                         `json:"automountServiceAccountToken,omitempty"`
	ImagePullSecrets             []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`
	EnableServiceLinks           *bool                         `json:"enableServiceLinks,omitempty"`
}

// Volume is a volume of the kinds Knative accepts by default.
type Volume struct {
	Name      string                        `json:"name"`
	Secret    *corev1.SecretVolumeSource    `json:"secret,omitempty"`
	ConfigMap *corev1.ConfigMapVolumeSource `json:"configMap,omitempty"`
	Projected *ProjectedVolumeSource        `json:"projected,omitempty"`
	EmptyDir  *corev1.EmptyDirVolumeSource  `json:"emptyDir,omitempty"`
}

// ProjectedVolumeSource lays several sources into one volume.
type ProjectedVolumeSource struct {
	Sources     []VolumeProjection `json:"sources,omitempty"`
	DefaultMode *int32             `json:"defaultMode,omitempty"`
}

// VolumeProjection is one source of a projected volume.
type VolumeProjection struct {
	Secret              *corev1.SecretProjection              `json:"secret,omitempty"`
	DownwardAPI         *corev1.DownwardAPIProjection         `json:"downwardAPI,omitempty"`
	ConfigMap           *corev1.ConfigMapProjection           `json:"configMap,omitempty"`
	ServiceAccountToken *corev1.ServiceAccountTokenProjection `json:"serviceAccountToken,omitempty"`
}

// Container is a container, less the fields Knative refuses (lifecycle,
// stdin, tty, volumeDevices and their like).
type Container struct {
	Name                     string                          `json:"name,omitempty"`
	Image                    string                          `json:"image,omitempty"`
	Command                  []string                        `json:"command,omitempty"`
	Args                     []string                        `json:"args,omitempty"`
	WorkingDir               string                          `json:"workingDir,omitempty"`
	Ports                    []ContainerPort                 `json:"ports,omitempty"`
	EnvFrom                  []corev1.EnvFromSource          `json:"envFrom,omitempty"`
	Env                      []EnvVar                        `json:"env,omitempty"`
	Resources                ResourceRequirements            `json:"resources,omitzero"`
	VolumeMounts             []VolumeMount                   `json:"volumeMounts,omitempty"`
	LivenessProbe            *Probe                          `json:"livenessProbe,omitempty"`
	ReadinessProbe           *Probe                          `json:"readinessProbe,omitempty"`
	StartupProbe             *Probe                          `json:"startupProbe,omitempty"`
	TerminationMessagePath   string                          `json:"terminationMessagePath,omitempty"`
	TerminationMessagePolicy corev1.TerminationMessagePolicy `json:"terminationMessagePolicy,omitempty"`
	ImagePullPolicy          corev1.PullPolicy               `json:"imagePullPolicy,omitempty"`
	SecurityContext          *SecurityContext                `json:"securityContext,omitempty"`
}

// ContainerPort is the one port a service listens on. Its name chooses the
// protocol: "h2c" for HTTP/2 in clear text, "http1" or nothing for HTTP/1.1.
type ContainerPort struct {
	Name          string          `json:"name,omitempty"`
	ContainerPort int32           `json:"containerPort,omitempty"`
	Protocol      corev1.Protocol `json:"protocol,omitempty"`
}

// EnvVar is a variable of a container's environment: a value, or the place
// it comes from.
type EnvVar struct {
	Name      string        `json:"name"`
	Value     string        `json:"value,omitempty"`
	ValueFrom *EnvVarSource `json:"valueFrom,omitempty"`
}

// EnvVarSource is the place a variable's value comes from.
type EnvVarSource struct {
	ConfigMapKeyRef *corev1.ConfigMapKeySelector `json:"configMapKeyRef,omitempty"`
	SecretKeyRef    *corev1.SecretKeySelector    `json:"secretKeyRef,omitempty"`
}

// ResourceRequirements are a container's requests and limits.
type ResourceRequirements struct {
	Limits   corev1.ResourceList `json:"limits,omitempty"`
	Requests corev1.ResourceList `json:"requests,omitempty"`
}

// VolumeMount puts a volume into a container. What is no emptyDir is mounted
// read-only, whatever ReadOnly says.
type VolumeMount struct {
	Name      string `json:"name"`
	ReadOnly  bool   `json:"readOnly,omitempty"`
	MountPath string `json:"mountPath"`
	SubPath   string `json:"subPath,omitempty"`
}

// SecurityContext is the part of a container's security settings that a
// service may choose for itself.
type SecurityContext struct {
	Capabilities             *corev1.Capabilities   `json:"capabilities,omitempty"`
	RunAsUser                *int64                 `json:"runAsUser,omitempty"`
	RunAsGroup               *int64                 `json:"runAsGroup,omitempty"`
	RunAsNonRoot             *bool                  `json:"runAsNonRoot,omitempty"`
	ReadOnlyRootFilesystem   *bool                  `json:"readOnlyRootFilesystem,omitempty"`
	AllowPrivilegeEscalation *bool                  `json:"allowPrivilegeEscalation,omitempty"`
	SeccompProfile           *corev1.SeccompProfile `json:"seccompProfile,omitempty"`
}

// Probe is Kubernetes' probe with the port optional: it defaults to the
// port of the container.
type Probe struct {
	HTTPGet   *HTTPGetAction     `json:"httpGet,omitempty"`
	TCPSocket *TCPSocketAction   `json:"tcpSocket,omitempty"`
	GRPC      *GRPCAction        `json:"grpc,omitempty"`
	Exec      *corev1.ExecAction `json:"exec,omitempty"`

	InitialDelaySeconds int32 `json:"initialDelaySeconds,omitempty"`
	TimeoutSeconds      int32 `json:"timeoutSeconds,omitempty"`
	// PeriodSeconds of 0 asks for Knative's aggressive probe: a try every
	// few milliseconds until the first success.
	PeriodSeconds    int32 `json:"periodSeconds,omitempty"`
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
}

// HTTPGetAction asks for a 2xx or 3xx answer.
type HTTPGetAction struct {
	Path string `json:"path,omitempty"`
	// Port is a number, or the name of the container's port.
	Port        intstr.IntOrString  `json:"port,omitzero"`
	Host        string              `json:"host,omitempty"`
	Scheme      corev1.URIScheme    `json:"scheme,omitempty"`
	HTTPHeaders []corev1.HTTPHeader `json:"httpHeaders,omitempty"`
}

// TCPSocketAction asks for an accepted connection.
type TCPSocketAction struct {
	// Port is a number, or the name of the container's port.
	Port intstr.IntOrString `json:"port,omitzero"`
	Host string             `json:"host,omitempty"`
}

// GRPCAction asks for SERVING from grpc.health.v1.
type GRPCAction struct {
	Port    int32   `json:"port,omitempty"`
	Service *string `json:"service,omitempty"`
}
