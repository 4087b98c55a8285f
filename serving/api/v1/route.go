package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

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
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   RouteSpec   `json:"spec,omitzero"`
	Status RouteStatus `json:"status,omitzero"`
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

// RouteList is a list of Routes.
//
// +kubebuilder:object:root=true
type RouteList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Route `json:"items"`
}
