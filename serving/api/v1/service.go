package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Service is the whole of one HTTP service: the template of its revisions and
// how traffic is split over them. It owns one Configuration and one Route of
// its own name.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name: must be at most 63 small letters, digits and dashes, begin with a letter and end with a letter or digit"
// +kubebuilder:validation:XValidation:rule="self.spec.template.?metadata.?name.orValue(\"\") == \"\" || self.spec.template.metadata.name.startsWith(self.metadata.name + '-') && self.spec.template.metadata.name.matches('^[-a-z0-9]{0,62}[a-z0-9]$')",message="must start with metadata.name and a dash, be at most 63 small letters, digits and dashes, and not end with a dash",fieldPath=".spec.template.metadata.name"
// +kubebuilder:validation:XValidation:rule="self.spec.template.?metadata.?name.orValue(\"\") == \"\" || !has(self.metadata.generateName)",message="a revision cannot bring its own name where metadata.generateName makes the service's",fieldPath=".spec.template.metadata.name"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.traffic) || self.spec.traffic.all(t, t.?tag.orValue(\"\") == \"\" || size(t.tag) + size(self.metadata.name) < 63)",message="a tag and the name together must be shorter than 63 characters: they are one label of a host",fieldPath=".spec.traffic"
// +kubebuilder:resource:path=services,shortName=kservice;ksvc,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="LatestCreated",type=string,JSONPath=`.status.latestCreatedRevisionName`
// +kubebuilder:printcolumn:name="LatestReady",type=string,JSONPath=`.status.latestReadyRevisionName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Service struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec   ServiceSpec   `json:"spec,omitzero"`
	Status ServiceStatus `json:"status,omitzero"`
}

// ServiceSpec is a Configuration's spec and a Route's spec side by side.
//
// +kubebuilder:validation:XValidation:rule="!has(self.traffic) || self.traffic.all(t, !has(t.configurationName))",message="must not name a configuration: the traffic of a service follows its own",fieldPath=".traffic"
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

// ServiceList is a list of Services.
//
// +kubebuilder:object:root=true
type ServiceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Service `json:"items"`
}
