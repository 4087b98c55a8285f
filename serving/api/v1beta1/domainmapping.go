package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// DomainMapping gives a host, which is its name, to a Service or a Route of
// its namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])+[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$') && !isIP(self.metadata.name)",message="metadata.name: is the host, and must be a name of at least two labels, such as hello.example.com"
// +kubebuilder:validation:XValidation:rule="!self.metadata.name.matches('[.](svc|cluster[.]local|devbox[.]internal)$|^(devbox|grafana|prometheus|zipkin)[.]localhost$')",message="metadata.name: must not end in .svc, .cluster.local or .devbox.internal, nor be devbox, grafana, prometheus or zipkin in .localhost: those names are the box's own"
// +kubebuilder:validation:XValidation:rule="!has(self.metadata.generateName) || size(self.metadata.generateName) == 0",message="metadata.generateName: must not be set: the name is the host"
// +kubebuilder:resource:path=domainmappings,shortName=dm,categories=knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type DomainMapping struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	Spec   DomainMappingSpec   `json:"spec,omitzero"`
	Status DomainMappingStatus `json:"status,omitzero"`
}

// DomainMappingSpec says where the host leads.
//
// +kubebuilder:validation:XValidation:rule="!has(self.tls)",message="must not be set: a box's gateway takes HTTP alone",fieldPath=".tls"
type DomainMappingSpec struct {
	// Ref is the Service or Route that gets the host's requests.
	// +required
	Ref Reference `json:"ref,omitzero"`
	// TLS is refused: a box's gateway takes HTTP alone.
	TLS *SecretTLS `json:"tls,omitempty"`
}

// Reference names a Service or a Route of Knative's.
type Reference struct {
	// APIVersion is that of Knative's Services and Routes: Kubernetes' own
	// Services have no revisions, to which alone a box's gateway leads.
	// +required
	// +kubebuilder:validation:Enum=serving.knative.dev/v1
	APIVersion string `json:"apiVersion,omitempty"`
	// +required
	// +kubebuilder:validation:Enum=Service;Route
	Kind string `json:"kind,omitempty"`
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`
	// Namespace is the DomainMapping's own, or absent.
	Namespace string `json:"namespace,omitempty"`
}

// SecretTLS names a secret with a certificate.
type SecretTLS struct {
	SecretName string `json:"secretName"`
}

// DomainMappingStatus says whether the host leads there.
type DomainMappingStatus struct {
	servingv1.Status `json:",inline"`
	// URL is where the host answers.
	URL string `json:"url,omitempty"`
	// Address is the same, for who sends events to it.
	Address *servingv1.Addressable `json:"address,omitempty"`
}

// DomainMappingList is a list of DomainMappings.
//
// +kubebuilder:object:root=true
type DomainMappingList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []DomainMapping `json:"items"`
}
