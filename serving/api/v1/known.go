package v1

import (
	"maps"
	"slices"
)

// Known is a label or an annotation of Knative's and what it comes to here.
type Known struct {
	Name string
	// On is the object that has it.
	On string
	// How is what is different from Knative; "" where nothing is.
	How string
	// Refused says that it, or each value but the one in How, is refused.
	Refused bool
}

// KnownMetadata are the labels and annotations of Knative Serving's, less those
// that the autoscaler reads.
func KnownMetadata() []Known {
	const template, all, pods = "template", "Service, Configuration, Route", "Revision, written by the platform"
	return []Known{
		{Name: CreatorAnnotation, On: all + ", DomainMapping", How: "written from the request's user, whatever one writes oneself"},
		{Name: LastModifierAnnotation, On: all + ", DomainMapping", How: "written from the user of the request that changed the spec"},
		{Name: ProgressDeadlineAnnotation, On: template},
		{Name: NoGCAnnotation, On: template},
		{Name: RolloutDurationAnnotation, On: "Service, Route", How: "a tag's own host leads to the latest revision at once"},
		{Name: GroupName + "/<any other annotation>", On: all + ", template", How: "by name", Refused: true},
		{Name: VisibilityLabel, On: "Service, Route, a placeholder Service of Kubernetes'"},
		{Name: "networking.knative.dev/ingress-class", On: all, How: "but for istio.ingress.networking.knative.dev: a box has no other gateway", Refused: true},
		{Name: "networking.knative.dev/http-protocol", On: all, How: "but for enabled: a box serves HTTP", Refused: true},
		{Name: "networking.knative.dev/disable-auto-tls", On: all, How: "but for true: nothing has a certificate in a box", Refused: true},
		{Name: "networking.knative.dev/<any other annotation>", On: all, How: "by name", Refused: true},
		{Name: "features.knative.dev/http-full-duplex", On: template, How: "but for Enabled: it always is", Refused: true},
		{Name: "features.knative.dev/<any other annotation>", On: template, How: "by name", Refused: true},
		{Name: "queue.sidecar.serving.knative.dev/resource-percentage", On: template},
		{Name: "queue.sidecar.serving.knative.dev/{cpu,memory,ephemeral-storage}-resource-{request,limit}", On: template},
		{Name: ConfigurationLabel, On: pods}, {Name: ConfigurationGenerationLabel, On: pods}, {Name: ConfigurationUIDLabel, On: pods},
		{Name: ServiceLabel, On: pods}, {Name: ServiceUIDLabel, On: pods}, {Name: RoutingStateLabel, On: pods},
		{Name: RoutingStateModified, On: pods}, {Name: RoutesAnnotation, On: pods},
		{Name: RevisionLabel, On: "Pod"}, {Name: RevisionUIDLabel, On: "Pod"}, {Name: "app", On: "Pod", How: "the template's own, where it has one"},
		{Name: RouteLabel, On: "Service of Kubernetes'"},
	}
}

// AutoscalingNames are the annotations that the autoscaler reads, without their
// prefix, in Knative's current spelling.
func AutoscalingNames() []string { return slices.Sorted(maps.Keys(autoscalingRules)) }
