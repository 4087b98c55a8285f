package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Service is the whole of one HTTP service: the template of its revisions and
// how traffic is split over them. It owns one Configuration and one Route of
// its own name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=services,shortName=kservice;ksvc,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="LatestCreated",type=string,JSONPath=`.status.latestCreatedRevisionName`
// +kubebuilder:printcolumn:name="LatestReady",type=string,JSONPath=`.status.latestReadyRevisionName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Service struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ServiceSpec   `json:"spec,omitempty"`
	Status ServiceStatus `json:"status,omitempty"`
}

// ServiceSpec is a Configuration's spec and a Route's spec side by side.
type ServiceSpec struct {
	ConfigurationSpec `json:",inline"`
	RouteSpec         `json:",inline"`
}

// ServiceStatus mirrors the Configuration and the Route of the Service.
type ServiceStatus struct {
	Status                    `json:",inline"`
	ConfigurationStatusFields `json:",inline"`
	RouteStatusFields         `json:",inline"`
}

// Configuration is the desired latest state of a line of revisions: each
// change of its template makes a new immutable Revision.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=configurations,shortName=config;cfg,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="LatestCreated",type=string,JSONPath=`.status.latestCreatedRevisionName`
// +kubebuilder:printcolumn:name="LatestReady",type=string,JSONPath=`.status.latestReadyRevisionName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Configuration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ConfigurationSpec   `json:"spec,omitempty"`
	Status ConfigurationStatus `json:"status,omitempty"`
}

// ConfigurationSpec holds the template that revisions are stamped from.
type ConfigurationSpec struct {
	Template RevisionTemplateSpec `json:"template"`
}

// RevisionTemplateSpec is the metadata and spec of the next Revision.
type RevisionTemplateSpec struct {
	// Metadata carries the revision's annotations and labels, and its name
	// where the user brings one.
	// +kubebuilder:pruning:PreserveUnknownFields
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Spec              RevisionSpec `json:"spec,omitempty"`
}

// ConfigurationStatus is what the Configuration has come to.
type ConfigurationStatus struct {
	Status                    `json:",inline"`
	ConfigurationStatusFields `json:",inline"`
}

// ConfigurationStatusFields are the fields a Service's status shares.
type ConfigurationStatusFields struct {
	// LatestReadyRevisionName is the newest Revision that has become ready.
	LatestReadyRevisionName string `json:"latestReadyRevisionName,omitempty"`
	// LatestCreatedRevisionName is the newest Revision, ready or not.
	LatestCreatedRevisionName string `json:"latestCreatedRevisionName,omitempty"`
}

// Revision is an immutable snapshot of code and configuration.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=revisions,shortName=rev,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="Config Name",type=string,JSONPath=`.metadata.labels['serving\.knative\.dev/configuration']`
// +kubebuilder:printcolumn:name="Generation",type=string,JSONPath=`.metadata.labels['serving\.knative\.dev/configurationGeneration']`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Actual Replicas",type=integer,JSONPath=`.status.actualReplicas`
// +kubebuilder:printcolumn:name="Desired Replicas",type=integer,JSONPath=`.status.desiredReplicas`
type Revision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RevisionSpec   `json:"spec,omitempty"`
	Status RevisionStatus `json:"status,omitempty"`
}

// RevisionSpec is a pod's spec, cut to what a stateless HTTP service may ask
// for, and the request limits of one pod.
type RevisionSpec struct {
	PodSpec `json:",inline"`

	// ContainerConcurrency is the most requests one pod is given at a time;
	// 0 means no limit.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	ContainerConcurrency *int64 `json:"containerConcurrency,omitempty"`
	// TimeoutSeconds bounds a whole request, in seconds.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=600
	TimeoutSeconds *int64 `json:"timeoutSeconds,omitempty"`
	// ResponseStartTimeoutSeconds bounds the wait for the response's first
	// byte, in seconds.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=600
	ResponseStartTimeoutSeconds *int64 `json:"responseStartTimeoutSeconds,omitempty"`
	// IdleTimeoutSeconds bounds the time between two writes of a response, in
	// seconds; 0 means no limit.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=600
	IdleTimeoutSeconds *int64 `json:"idleTimeoutSeconds,omitempty"`
}

// PodSpec is the part of Kubernetes' PodSpec that Knative Serving accepts by
// default. Fields behind Knative's feature flags are not in it, so the API
// server itself refuses them by name.
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
	Name string `json:"name"`
	// +optional
	Secret *corev1.SecretVolumeSource `json:"secret,omitempty"`
	// +optional
	ConfigMap *corev1.ConfigMapVolumeSource `json:"configMap,omitempty"`
	// +optional
	Projected *corev1.ProjectedVolumeSource `json:"projected,omitempty"`
	// +optional
	EmptyDir *corev1.EmptyDirVolumeSource `json:"emptyDir,omitempty"`
}

// Container is a container, less the fields Knative refuses (lifecycle,
// stdin, tty, volumeDevices).
type Container struct {
	Name                     string                          `json:"name,omitempty"`
	Image                    string                          `json:"image,omitempty"`
	Command                  []string                        `json:"command,omitempty"`
	Args                     []string                        `json:"args,omitempty"`
	WorkingDir               string                          `json:"workingDir,omitempty"`
	Ports                    []ContainerPort                 `json:"ports,omitempty"`
	EnvFrom                  []corev1.EnvFromSource          `json:"envFrom,omitempty"`
	Env                      []corev1.EnvVar                 `json:"env,omitempty"`
	Resources                ResourceRequirements            `json:"resources,omitempty"`
	VolumeMounts             []corev1.VolumeMount            `json:"volumeMounts,omitempty"`
	LivenessProbe            *Probe                          `json:"livenessProbe,omitempty"`
	ReadinessProbe           *Probe                          `json:"readinessProbe,omitempty"`
	StartupProbe             *Probe                          `json:"startupProbe,omitempty"`
	TerminationMessagePath   string                          `json:"terminationMessagePath,omitempty"`
	TerminationMessagePolicy corev1.TerminationMessagePolicy `json:"terminationMessagePolicy,omitempty"`
	ImagePullPolicy          corev1.PullPolicy               `json:"imagePullPolicy,omitempty"`
	SecurityContext          *corev1.SecurityContext         `json:"securityContext,omitempty"`
}

// ContainerPort is the one port a service listens on. Its name chooses the
// protocol: "h2c" for HTTP/2 in clear text, "http1" or nothing for HTTP/1.1.
type ContainerPort struct {
	Name          string          `json:"name,omitempty"`
	ContainerPort int32           `json:"containerPort,omitempty"`
	Protocol      corev1.Protocol `json:"protocol,omitempty"`
}

// ResourceRequirements are a container's requests and limits.
type ResourceRequirements struct {
	Limits   corev1.ResourceList `json:"limits,omitempty"`
	Requests corev1.ResourceList `json:"requests,omitempty"`
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
	Path        string              `json:"path,omitempty"`
	Port        int32               `json:"port,omitempty"`
	Host        string              `json:"host,omitempty"`
	Scheme      corev1.URIScheme    `json:"scheme,omitempty"`
	HTTPHeaders []corev1.HTTPHeader `json:"httpHeaders,omitempty"`
}

// TCPSocketAction asks for an accepted connection.
type TCPSocketAction struct {
	Port int32  `json:"port,omitempty"`
	Host string `json:"host,omitempty"`
}

// GRPCAction asks for SERVING from grpc.health.v1.
type GRPCAction struct {
	Port    int32   `json:"port,omitempty"`
	Service *string `json:"service,omitempty"`
}

// RevisionStatus is what is true of a Revision's pods.
type RevisionStatus struct {
	Status `json:",inline"`

	// ContainerStatuses names each container's image by digest.
	ContainerStatuses []ContainerStatus `json:"containerStatuses,omitempty"`
	// ActualReplicas is the number of pods that answer.
	ActualReplicas *int32 `json:"actualReplicas,omitempty"`
	// DesiredReplicas is the number of pods the autoscaler wants.
	DesiredReplicas *int32 `json:"desiredReplicas,omitempty"`
	// LogURL is where the revision's logs are shown, if anywhere.
	LogURL string `json:"logUrl,omitempty"`
}

// ContainerStatus is a container's name and the digest its image came to.
type ContainerStatus struct {
	Name        string `json:"name,omitempty"`
	ImageDigest string `json:"imageDigest,omitempty"`
}

// Route splits the traffic of some hosts over revisions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=routes,shortName=rt,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   RouteSpec   `json:"spec,omitempty"`
	Status RouteStatus `json:"status,omitempty"`
}

// RouteSpec is how traffic is split.
type RouteSpec struct {
	Traffic []TrafficTarget `json:"traffic,omitempty"`
}

// TrafficTarget sends a share of traffic to a revision.
type TrafficTarget struct {
	// Tag gives the target a host of its own, tag-name.namespace.domain.
	Tag string `json:"tag,omitempty"`
	// RevisionName pins the target to one revision.
	RevisionName string `json:"revisionName,omitempty"`
	// ConfigurationName follows the latest ready revision of a Configuration.
	ConfigurationName string `json:"configurationName,omitempty"`
	// LatestRevision says that the target follows the latest ready revision.
	LatestRevision *bool `json:"latestRevision,omitempty"`
	// Percent of the traffic of the Route's own host.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100
	Percent *int64 `json:"percent,omitempty"`
	// URL of the tag's host; in status only.
	URL string `json:"url,omitempty"`
}

// RouteStatus is the resolved Route: the activator builds its table from it.
type RouteStatus struct {
	Status            `json:",inline"`
	RouteStatusFields `json:",inline"`
}

// RouteStatusFields are the fields a Service's status shares.
type RouteStatusFields struct {
	// URL is where the Route answers.
	URL string `json:"url,omitempty"`
	// Address is where it answers inside the cluster.
	Address *Addressable `json:"address,omitempty"`
	// Traffic is the split in force: every target names its revision.
	Traffic []TrafficTarget `json:"traffic,omitempty"`
}

// Addressable is a URL of an object.
type Addressable struct {
	URL string `json:"url,omitempty"`
}

// Status is the part every kind's status shares.
type Status struct {
	// ObservedGeneration is the generation the status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions  []Condition       `json:"conditions,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Condition is one thing that is true, false or not yet known.
type Condition struct {
	Type   ConditionType          `json:"type"`
	Status corev1.ConditionStatus `json:"status"`
	// Severity is empty for a condition that Ready depends on, Info else.
	Severity           ConditionSeverity `json:"severity,omitempty"`
	LastTransitionTime metav1.Time       `json:"lastTransitionTime,omitempty"`
	Reason             string            `json:"reason,omitempty"`
	Message            string            `json:"message,omitempty"`
}

// ConditionType names a condition.
type ConditionType string

// ConditionSeverity says how much a condition matters.
type ConditionSeverity string

// ServiceList is a list of Services.
//
// +kubebuilder:object:root=true
type ServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Service `json:"items"`
}

// ConfigurationList is a list of Configurations.
//
// +kubebuilder:object:root=true
type ConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Configuration `json:"items"`
}

// RevisionList is a list of Revisions.
//
// +kubebuilder:object:root=true
type RevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Revision `json:"items"`
}

// RouteList is a list of Routes.
//
// +kubebuilder:object:root=true
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Route `json:"items"`
}
