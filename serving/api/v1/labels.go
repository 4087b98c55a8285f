package v1

// GroupName is the API group of all kinds, of v1beta1's too.
const GroupName = "serving.knative.dev"

// Namespace is where the serving stack itself runs.
const Namespace = "knative-serving"

// Labels and annotations, with Knative's meanings.
const (
	ConfigurationLabel           = GroupName + "/configuration"
	ConfigurationGenerationLabel = GroupName + "/configurationGeneration"
	ConfigurationUIDLabel        = GroupName + "/configurationUID"
	ServiceLabel                 = GroupName + "/service"
	ServiceUIDLabel              = GroupName + "/serviceUID"
	RouteLabel                   = GroupName + "/route"
	RevisionLabel                = GroupName + "/revision"
	RevisionUIDLabel             = GroupName + "/revisionUID"
	RoutingStateLabel            = GroupName + "/routingState"

	CreatorAnnotation          = GroupName + "/creator"
	LastModifierAnnotation     = GroupName + "/lastModifier"
	RoutesAnnotation           = GroupName + "/routes"
	RoutingStateModified       = GroupName + "/routingStateModified"
	ProgressDeadlineAnnotation = GroupName + "/progress-deadline"
	RolloutDurationAnnotation  = GroupName + "/rollout-duration"
	NoGCAnnotation             = GroupName + "/no-gc"
	VisibilityLabel            = "networking.knative.dev/visibility"
	VisibilityClusterLocal     = "cluster-local"
)

// DecidedAnnotation is when the controller decided to make a pod, in RFC 3339
// with nanoseconds, on that pod: creationTimestamp knows only seconds.
const DecidedAnnotation = "devbox.dev/decided"

// MeshLabel, with the value MeshSidecar, is on a pod of which the controller
// expects that Istio's injector gives it a sidecar. Whether it has one is said
// by the injector's own label.
const (
	MeshLabel   = "devbox.dev/mesh"
	MeshSidecar = "sidecar"
)

// StandbyLabel is on a pod that stands by: it waits to become one of a revision
// of the configuration that StandbyOfLabel names, or has become one. That is the
// case until the pod that the revision asks for has taken its place.
const (
	StandbyLabel   = "devbox.dev/standby"
	StandbyWaits   = "waiting"
	StandbyAdopted = "adopted"
	StandbyOfLabel = "devbox.dev/standby-of"
)

// AdoptedAnnotation is when a standby pod became its revision's, in RFC 3339 with
// nanoseconds, on that pod.
const AdoptedAnnotation = "devbox.dev/adopted"

// StandbyAnnotation is in the status of a revision what there is to say of a pod
// that stands by for it, in words: that one serves it, or why none does.
const StandbyAnnotation = "devbox.dev/standby"

// ScaleReasonAnnotation is why the autoscaler wants the pods that it wants, in
// words, in a revision's status. It changes with their number, not more often.
const ScaleReasonAnnotation = "devbox.dev/scale-reason"

// AutoscalingPrefix begins every annotation that the autoscaler reads from a
// revision. It means nothing anywhere but on a revision or its template.
const AutoscalingPrefix = "autoscaling.knative.dev/"

// Prefixes of Knative's other annotations that ask for something.
const (
	QueuePrefix      = "queue.sidecar.serving.knative.dev/" // of a revision or its template: queue-proxy's size
	FeaturesPrefix   = "features.knative.dev/"              // of a revision or its template
	networkingPrefix = "networking.knative.dev/"
)

// Container names of a revision's pod.
const (
	UserContainer  = "user-container"
	InitContainer  = "init-container"
	QueueContainer = "queue-proxy"
)

// Names of a container's port, which choose the protocol.
const (
	PortNameHTTP1 = "http1"
	PortNameH2C   = "h2c"
)

// What devbox makes in a cluster that it shares with others has GuestLabel, which
// says whose it is, and GuestAnnotation, which says so for people.
const (
	GuestLabel      = "kind-in-a-box.github.io/guest"
	GuestAnnotation = "kind-in-a-box.github.io/guest"
)
