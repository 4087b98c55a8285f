package v1

// GroupName is the API group of all four kinds.
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
	NoGCAnnotation             = GroupName + "/no-gc"
	VisibilityLabel            = "networking.knative.dev/visibility"
	VisibilityClusterLocal     = "cluster-local"
)

// DecidedAnnotation is when the controller decided to make a pod, in RFC 3339
// with nanoseconds, on that pod: creationTimestamp knows only seconds.
const DecidedAnnotation = "devbox.dev/decided"

// AutoscalingPrefix begins every annotation that the autoscaler reads from a
// revision. It means nothing anywhere but on a revision or its template.
const AutoscalingPrefix = "autoscaling.knative.dev/"

// Container names of a revision's pod.
const (
	UserContainer  = "user-container"
	InitContainer  = "init-container"
	QueueContainer = "queue-proxy"
)

// Ports of a revision's pod and of the activator, by Knative's numbers.
const (
	HTTPPort        = 8012 // queue-proxy and activator: requests, HTTP/1.1 and h2c
	H2CPort         = 8013 // the same for a backend that must be spoken to in h2c
	QueueAdminPort  = 8022 // queue-proxy: /wait-for-drain
	AutometricPort  = 9090 // queue-proxy: concurrency and rate
	UsermetricPort  = 9091 // queue-proxy: request metrics
	DefaultUserPort = 8080 // user container, where it names no port
)

// Names of a container's port, which choose the protocol.
const (
	PortNameHTTP1 = "http1"
	PortNameH2C   = "h2c"
)
