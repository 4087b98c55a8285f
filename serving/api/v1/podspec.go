package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// PodSpec is the part of Kubernetes' PodSpec that Knative Serving accepts by
// default. Fields behind Knative's feature flags are not in it, nor in any
// type below, so that the API server itself refuses them by name.
//
// +kubebuilder:validation:XValidation:rule="size(self.containers) == 1 || self.containers.filter(c, has(c.ports) && size(c.ports) > 0).size() == 1",message="one of several containers must have ports, and only one: it takes the requests",fieldPath=".containers"
// +kubebuilder:validation:XValidation:rule="self.containers.all(c, c.?name.orValue(\"\") == \"\" || self.containers.exists_one(d, d.?name.orValue(\"\") == c.name))",message="names of containers must differ",fieldPath=".containers"
// +kubebuilder:validation:XValidation:rule="!has(self.initContainers) || self.initContainers.all(c, c.?name.orValue(\"\") == \"\" || self.initContainers.exists_one(d, d.?name.orValue(\"\") == c.name) && !self.containers.exists(d, d.?name.orValue(\"\") == c.name))",message="names of containers must differ",fieldPath=".initContainers"
// +kubebuilder:validation:XValidation:rule="size(self.containers) == 1 || self.containers.all(c, has(c.ports) && size(c.ports) > 0 || !has(c.readinessProbe) && !has(c.livenessProbe) && !has(c.startupProbe))",message="only the container that takes the requests may have probes",fieldPath=".containers"
// +kubebuilder:validation:XValidation:rule="self.containers.all(c, size(self.containers) > 1 && (!has(c.ports) || size(c.ports) == 0) || !has(c.env) || c.env.all(e, e.name != 'PORT'))",message="env PORT is set by the platform: give the container a containerPort instead",fieldPath=".containers"
// +kubebuilder:validation:XValidation:rule="self.containers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name)))",message="a volumeMount must name one of the volumes",fieldPath=".containers"
// +kubebuilder:validation:XValidation:rule="!has(self.initContainers) || self.initContainers.all(c, !has(c.volumeMounts) || c.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name)))",message="a volumeMount must name one of the volumes",fieldPath=".initContainers"
type PodSpec struct {
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	Volumes []Volume `json:"volumes,omitempty"`
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:XValidation:rule="!has(self.ports)",message="an init container takes no requests",fieldPath=".ports"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.readinessProbe) && !has(self.livenessProbe) && !has(self.startupProbe)",message="an init container must not have probes"
	InitContainers []Container `json:"initContainers,omitempty"`
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Containers []Container `json:"containers"`

	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == '' || !format.dns1123Subdomain().validate(self).hasValue()",message="a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
	ServiceAccountName           string                        `json:"serviceAccountName,omitempty"`
	AutomountServiceAccountToken *bool                         `json:"automountServiceAccountToken,omitempty"`
	ImagePullSecrets             []corev1.LocalObjectReference `json:"imagePullSecrets,omitempty"`

	// EnableServiceLinks makes environment variables of the namespace's other
	// Services, as Docker once did; they are many, and slow a start.
	EnableServiceLinks *bool `json:"enableServiceLinks,omitempty"`
}

// Volume is a volume of the kinds Knative accepts by default.
//
// +kubebuilder:validation:ExactlyOneOf=secret;configMap;projected;emptyDir
type Volume struct {
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="!format.dns1123Label().validate(self).hasValue()",message="a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	Name string `json:"name"`

	Secret    *corev1.SecretVolumeSource    `json:"secret,omitempty"`
	ConfigMap *corev1.ConfigMapVolumeSource `json:"configMap,omitempty"`
	Projected *ProjectedVolumeSource        `json:"projected,omitempty"`
	EmptyDir  *corev1.EmptyDirVolumeSource  `json:"emptyDir,omitempty"`
}

// ProjectedVolumeSource lays several sources into one volume.
type ProjectedVolumeSource struct {
	// +kubebuilder:validation:MaxItems=32
	Sources     []VolumeProjection `json:"sources,omitempty"`
	DefaultMode *int32             `json:"defaultMode,omitempty"`
}

// VolumeProjection is one source of a projected volume.
//
// +kubebuilder:validation:ExactlyOneOf=secret;downwardAPI;configMap;serviceAccountToken
type VolumeProjection struct {
	Secret              *corev1.SecretProjection              `json:"secret,omitempty"`
	DownwardAPI         *corev1.DownwardAPIProjection         `json:"downwardAPI,omitempty"`
	ConfigMap           *corev1.ConfigMapProjection           `json:"configMap,omitempty"`
	ServiceAccountToken *corev1.ServiceAccountTokenProjection `json:"serviceAccountToken,omitempty"`
}

// Container is a container, less the fields Knative refuses (lifecycle,
// stdin, tty, volumeDevices and their like).
type Container struct {
	// Name defaults to user-container, init-container for an init container;
	// with a number where there are several.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == '' || !format.dns1123Label().validate(self).hasValue()",message="a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
	// +kubebuilder:validation:XValidation:rule="self != 'queue-proxy'",message="queue-proxy is the platform's own container: take another name"
	Name string `json:"name,omitempty"`
	// +required
	// +kubebuilder:validation:MinLength=1
	Image      string   `json:"image,omitempty"`
	Command    []string `json:"command,omitempty"`
	Args       []string `json:"args,omitempty"`
	WorkingDir string   `json:"workingDir,omitempty"`

	// Ports has the one port that takes the requests, if it is not 8080.
	// +kubebuilder:validation:MaxItems=1
	Ports   []ContainerPort        `json:"ports,omitempty"`
	EnvFrom []corev1.EnvFromSource `json:"envFrom,omitempty"`
	// +kubebuilder:validation:MaxItems=512
	Env       []EnvVar             `json:"env,omitempty"`
	Resources ResourceRequirements `json:"resources,omitzero"`
	// +listType=map
	// +listMapKey=mountPath
	// +kubebuilder:validation:MaxItems=64
	VolumeMounts []VolumeMount `json:"volumeMounts,omitempty"`

	// +kubebuilder:validation:XValidation:rule="self.?successThreshold.orValue(0) <= 1",message="must be 1",fieldPath=".successThreshold"
	// +kubebuilder:validation:XValidation:rule="has(self.httpGet) || has(self.tcpSocket) || has(self.grpc) || has(self.exec)",message="must have one of httpGet, tcpSocket, grpc, exec"
	LivenessProbe *Probe `json:"livenessProbe,omitempty"`
	// ReadinessProbe defaults to: the port accepts connections.
	// +kubebuilder:validation:XValidation:rule="self.?periodSeconds.orValue(0) > 0 || self.?failureThreshold.orValue(0) == 0",message="must not be set while periodSeconds is 0",fieldPath=".failureThreshold"
	// +kubebuilder:validation:XValidation:rule="self.?periodSeconds.orValue(0) > 0 || self.?timeoutSeconds.orValue(0) == 0",message="must not be set while periodSeconds is 0",fieldPath=".timeoutSeconds"
	ReadinessProbe *Probe `json:"readinessProbe,omitempty"`
	// +kubebuilder:validation:XValidation:rule="self.?successThreshold.orValue(0) <= 1",message="must be 1",fieldPath=".successThreshold"
	// +kubebuilder:validation:XValidation:rule="has(self.httpGet) || has(self.tcpSocket) || has(self.grpc) || has(self.exec)",message="must have one of httpGet, tcpSocket, grpc, exec"
	StartupProbe *Probe `json:"startupProbe,omitempty"`

	TerminationMessagePath string `json:"terminationMessagePath,omitempty"`
	// +kubebuilder:validation:Enum=File;FallbackToLogsOnError
	TerminationMessagePolicy corev1.TerminationMessagePolicy `json:"terminationMessagePolicy,omitempty"`
	// +kubebuilder:validation:Enum=Always;IfNotPresent;Never
	ImagePullPolicy corev1.PullPolicy `json:"imagePullPolicy,omitempty"`
	SecurityContext *SecurityContext  `json:"securityContext,omitempty"`
}

// ContainerPort is the one port a service listens on. Its name chooses the
// protocol: "h2c" for HTTP/2 in clear text, "http1" or nothing for HTTP/1.1.
type ContainerPort struct {
	// +kubebuilder:validation:Enum=http1;h2c;""
	Name string `json:"name,omitempty"`
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +kubebuilder:validation:XValidation:rule="!(self in [8008, 8012, 8013, 8022, 8112, 9090, 9091])",message="is a port of queue-proxy's, which is in every pod (8012, 8013, 8022, 9090, 9091), or reserved (8008, 8112): take another"
	ContainerPort int32 `json:"containerPort,omitempty"`
	// +kubebuilder:validation:Enum=TCP;""
	Protocol corev1.Protocol `json:"protocol,omitempty"`
}

// EnvVar is a variable of a container's environment: a value, or the place
// it comes from.
//
// +kubebuilder:validation:XValidation:rule="!has(self.valueFrom) || self.?value.orValue(\"\") == \"\"",message="must not be set beside a value",fieldPath=".valueFrom"
type EnvVar struct {
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="!(self in ['K_SERVICE', 'K_CONFIGURATION', 'K_REVISION'])",message="is set by the platform: take another name"
	Name      string        `json:"name"`
	Value     string        `json:"value,omitempty"`
	ValueFrom *EnvVarSource `json:"valueFrom,omitempty"`
}

// EnvVarSource is the place a variable's value comes from.
//
// +kubebuilder:validation:ExactlyOneOf=configMapKeyRef;secretKeyRef
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
	// +kubebuilder:validation:MaxLength=63
	Name     string `json:"name"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	// +kubebuilder:validation:Pattern=`^/`
	// +kubebuilder:validation:MaxLength=4096
	// +kubebuilder:validation:XValidation:rule="!(self in ['/', '/dev', '/dev/', '/dev/log', '/dev/log/'])",message="is the platform's own path: take another"
	MountPath string `json:"mountPath"`
	SubPath   string `json:"subPath,omitempty"`
}

// SecurityContext is the part of a container's security settings that a
// service may choose for itself.
type SecurityContext struct {
	Capabilities *Capabilities `json:"capabilities,omitempty"`
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	RunAsUser *int64 `json:"runAsUser,omitempty"`
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=2147483647
	RunAsGroup               *int64                 `json:"runAsGroup,omitempty"`
	RunAsNonRoot             *bool                  `json:"runAsNonRoot,omitempty"`
	ReadOnlyRootFilesystem   *bool                  `json:"readOnlyRootFilesystem,omitempty"`
	AllowPrivilegeEscalation *bool                  `json:"allowPrivilegeEscalation,omitempty"`
	SeccompProfile           *corev1.SeccompProfile `json:"seccompProfile,omitempty"`
}

// Capabilities are what root may do without being root.
type Capabilities struct {
	// +kubebuilder:validation:items:Enum=NET_BIND_SERVICE
	Add  []corev1.Capability `json:"add,omitempty"`
	Drop []corev1.Capability `json:"drop,omitempty"`
}

// Probe is Kubernetes' probe with the port optional: it defaults to the
// port of the container.
//
// +kubebuilder:validation:AtMostOneOf=httpGet;tcpSocket;grpc;exec
type Probe struct {
	HTTPGet   *HTTPGetAction     `json:"httpGet,omitempty"`
	TCPSocket *TCPSocketAction   `json:"tcpSocket,omitempty"`
	GRPC      *GRPCAction        `json:"grpc,omitempty"`
	Exec      *corev1.ExecAction `json:"exec,omitempty"`

	// +kubebuilder:validation:Minimum=0
	InitialDelaySeconds int32 `json:"initialDelaySeconds,omitempty"`
	// +kubebuilder:validation:Minimum=0
	TimeoutSeconds int32 `json:"timeoutSeconds,omitempty"`
	// PeriodSeconds of 0 asks for Knative's aggressive probe: a try every
	// few milliseconds until the first success.
	// +kubebuilder:validation:Minimum=0
	PeriodSeconds int32 `json:"periodSeconds,omitempty"`
	// +kubebuilder:validation:Minimum=0
	SuccessThreshold int32 `json:"successThreshold,omitempty"`
	// +kubebuilder:validation:Minimum=0
	FailureThreshold int32 `json:"failureThreshold,omitempty"`
}

// HTTPGetAction asks for a 2xx or 3xx answer.
type HTTPGetAction struct {
	Path string `json:"path,omitempty"`
	// Port is a number, or the name of the container's port.
	// +kubebuilder:validation:XValidation:rule="type(self) == string || int(self) >= 0 && int(self) <= 65535",message="must be from 0 to 65535"
	Port        intstr.IntOrString  `json:"port,omitzero"`
	Host        string              `json:"host,omitempty"`
	Scheme      corev1.URIScheme    `json:"scheme,omitempty"`
	HTTPHeaders []corev1.HTTPHeader `json:"httpHeaders,omitempty"`
}

// TCPSocketAction asks for an accepted connection.
type TCPSocketAction struct {
	// Port is a number, or the name of the container's port.
	// +kubebuilder:validation:XValidation:rule="type(self) == string || int(self) >= 0 && int(self) <= 65535",message="must be from 0 to 65535"
	Port intstr.IntOrString `json:"port,omitzero"`
	Host string             `json:"host,omitempty"`
}

// GRPCAction asks for SERVING from grpc.health.v1.
type GRPCAction struct {
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	Port    int32   `json:"port,omitempty"`
	Service *string `json:"service,omitempty"`
}
