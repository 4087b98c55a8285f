package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Configuration is the desired latest state of a line of revisions: each
// change of its template makes a new immutable Revision.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name: must be at most 63 small letters, digits and dashes, begin with a letter and end with a letter or digit"
// +kubebuilder:validation:XValidation:rule="self.spec.template.?metadata.?name.orValue(\"\") == \"\" || self.spec.template.metadata.name.startsWith(self.metadata.name + '-') && self.spec.template.metadata.name.matches('^[-a-z0-9]{0,62}[a-z0-9]$')",message="must start with metadata.name and a dash, be at most 63 small letters, digits and dashes, and not end with a dash",fieldPath=".spec.template.metadata.name"
// +kubebuilder:validation:XValidation:rule="self.spec.template.?metadata.?name.orValue(\"\") == \"\" || !has(self.metadata.generateName)",message="a revision cannot bring its own name where metadata.generateName makes the service's",fieldPath=".spec.template.metadata.name"
// +kubebuilder:resource:path=configurations,shortName=config;cfg,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="LatestCreated",type=string,JSONPath=`.status.latestCreatedRevisionName`
// +kubebuilder:printcolumn:name="LatestReady",type=string,JSONPath=`.status.latestReadyRevisionName`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Configuration struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec   ConfigurationSpec   `json:"spec,omitzero"`
	Status ConfigurationStatus `json:"status,omitzero"`
}

// ConfigurationSpec holds the template that revisions are stamped from.
type ConfigurationSpec struct {
	// +kubebuilder:validation:XValidation:rule="self == oldSelf || self.?metadata.?name.orValue('') == '' || self.metadata.name != oldSelf.?metadata.?name.orValue('')",message="a changed template must not keep the revision's name: change or drop it",fieldPath=".metadata.name"
	Template RevisionTemplateSpec `json:"template"`
}

// RevisionTemplateSpec is the metadata and spec of the next Revision.
type RevisionTemplateSpec struct {
	// Metadata carries the revision's annotations and labels, and its name
	// where the user brings one.
	TemplateMeta `json:"metadata,omitzero"`
	// +required
	Spec RevisionSpec `json:"spec,omitzero"`
}

// TemplateMeta is Kubernetes' ObjectMeta as a template has it. The name, the
// labels and the annotations are the revision's. The others are taken because
// typed clients write them, and exports keep them; of a template they say
// nothing.
type TemplateMeta struct {
	Name        string            `json:"name,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`

	GenerateName string `json:"generateName,omitempty"`
	Namespace    string `json:"namespace,omitempty"`
	// +nullable
	CreationTimestamp *metav1.Time `json:"creationTimestamp,omitempty"`
	// +nullable
	DeletionTimestamp          *metav1.Time            `json:"deletionTimestamp,omitempty"`
	DeletionGracePeriodSeconds *int64                  `json:"deletionGracePeriodSeconds,omitempty"`
	Finalizers                 []string                `json:"finalizers,omitempty"`
	OwnerReferences            []metav1.OwnerReference `json:"ownerReferences,omitempty"`
	UID                        types.UID               `json:"uid,omitempty"`
	ResourceVersion            string                  `json:"resourceVersion,omitempty"`
	Generation                 int64                   `json:"generation,omitempty"`
	SelfLink                   string                  `json:"selfLink,omitempty"`
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
