package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Revision is an immutable snapshot of code and configuration.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name: must be at most 63 small letters, digits and dashes, begin with a letter and end with a letter or digit"
// +kubebuilder:resource:path=revisions,shortName=rev,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="Config Name",type=string,JSONPath=`.metadata.labels['serving\.knative\.dev/configuration']`
// +kubebuilder:printcolumn:name="Generation",type=string,JSONPath=`.metadata.labels['serving\.knative\.dev/configurationGeneration']`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
// +kubebuilder:printcolumn:name="Actual Replicas",type=integer,JSONPath=`.status.actualReplicas`
// +kubebuilder:printcolumn:name="Desired Replicas",type=integer,JSONPath=`.status.desiredReplicas`
type Revision struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="is immutable: change the Configuration or Service, which makes a new revision"
	Spec   RevisionSpec   `json:"spec,omitzero"`
	Status RevisionStatus `json:"status,omitzero"`
}

// RevisionSpec is a pod's spec, cut to what a stateless HTTP service may ask
// for, and the request limits of one pod.
//
// +kubebuilder:validation:XValidation:rule="self.?timeoutSeconds.orValue(0) == 0 || self.?responseStartTimeoutSeconds.orValue(0) <= self.timeoutSeconds",message="must be at most timeoutSeconds",fieldPath=".responseStartTimeoutSeconds"
// +kubebuilder:validation:XValidation:rule="self.?timeoutSeconds.orValue(0) == 0 || self.?idleTimeoutSeconds.orValue(0) <= self.timeoutSeconds",message="must be at most timeoutSeconds",fieldPath=".idleTimeoutSeconds"
type RevisionSpec struct {
	PodSpec `json:",inline"`

	// ContainerConcurrency is the most requests one pod is given at a time;
	// 0 means no limit.
	// +kubebuilder:validation:Minimum=0
	ContainerConcurrency *int64 `json:"containerConcurrency,omitempty"`
	// TimeoutSeconds bounds the time until a response begins, in seconds; one
	// that has begun may go on.
	// +kubebuilder:validation:Minimum=0
	TimeoutSeconds *int64 `json:"timeoutSeconds,omitempty"`
	// ResponseStartTimeoutSeconds bounds the wait for the response's first
	// byte, in seconds.
	// +kubebuilder:validation:Minimum=0
	ResponseStartTimeoutSeconds *int64 `json:"responseStartTimeoutSeconds,omitempty"`
	// IdleTimeoutSeconds bounds the time between two writes of a response, in
	// seconds; 0 means no limit.
	// +kubebuilder:validation:Minimum=0
	IdleTimeoutSeconds *int64 `json:"idleTimeoutSeconds,omitempty"`
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

// RevisionList is a list of Revisions.
//
// +kubebuilder:object:root=true
type RevisionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Revision `json:"items"`
}
