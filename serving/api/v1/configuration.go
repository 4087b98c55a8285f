package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   ConfigurationSpec   `json:"spec,omitzero"`
	Status ConfigurationStatus `json:"status,omitzero"`
}

// ConfigurationSpec holds the template that revisions are stamped from.
type ConfigurationSpec struct {
	Template RevisionTemplateSpec `json:"template"`
}

// RevisionTemplateSpec is the metadata and spec of the next Revision.
type RevisionTemplateSpec struct {
	// Metadata carries the revision's annotations and labels, and its name
	// where the user brings one.
	metav1.ObjectMeta `json:"metadata,omitzero"`
	Spec              RevisionSpec `json:"spec,omitzero"`
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

// ConfigurationList is a list of Configurations.
//
// +kubebuilder:object:root=true
type ConfigurationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Configuration `json:"items"`
}
