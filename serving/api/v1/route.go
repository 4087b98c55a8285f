package v1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Route splits the traffic of some hosts over revisions.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="self.metadata.name.matches('^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$')",message="metadata.name: must be at most 63 small letters, digits and dashes, begin with a letter and end with a letter or digit"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.traffic) || self.spec.traffic.all(t, t.?tag.orValue(\"\") == \"\" || size(t.tag) + size(self.metadata.name) < 63)",message="a tag and the name together must be shorter than 63 characters: they are one label of a host",fieldPath=".spec.traffic"
// +kubebuilder:resource:path=routes,shortName=rt,categories=all;knative;serving,scope=Namespaced
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.status.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=='Ready')].reason`
type Route struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// +required
	// +kubebuilder:validation:XValidation:rule="self.traffic.all(t, has(t.configurationName) || has(t.revisionName))",message="every target must have a configurationName or a revisionName",fieldPath=".traffic"
	Spec   RouteSpec   `json:"spec,omitzero"`
	Status RouteStatus `json:"status,omitzero"`
}

// RouteSpec is how traffic is split.
type RouteSpec struct {
	// Traffic is the split; a Service without one sends all to its latest
	// ready revision.
	// +kubebuilder:default={{percent: 100, latestRevision: true}}
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.map(t, t.?percent.orValue(0)).sum() == 100",message="percents must sum to 100"
	// +kubebuilder:validation:XValidation:rule="self.all(t, t.?tag.orValue('') == '' || self.exists_one(u, u.?tag.orValue('') == t.tag))",message="a tag must not be used twice"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.url)",message="is written by the platform, in status only",fieldPath=".url"
	// +kubebuilder:validation:items:XValidation:rule="!has(self.configurationName) || !has(self.revisionName)",message="must not be set beside revisionName",fieldPath=".configurationName"
	// +kubebuilder:validation:items:XValidation:rule="self.?latestRevision.orValue(!has(self.revisionName)) != has(self.revisionName)",message="must be true without a revisionName and false beside one",fieldPath=".latestRevision"
	Traffic []TrafficTarget `json:"traffic,omitempty"`
}

// TrafficTarget sends a share of traffic to a revision.
type TrafficTarget struct {
	// Tag gives the target a host of its own, tag-name.namespace.domain.
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^([a-z]([-a-z0-9]*[a-z0-9])?)?$`
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
