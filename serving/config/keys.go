package config

import "github.com/kind-in-a-box/devbox/serving/settings"

// Names of Knative's ConfigMaps.
const (
	Autoscaler    = "config-autoscaler"
	Defaults      = "config-defaults"
	Deployment    = "config-deployment"
	Domain        = "config-domain"
	Features      = "config-features"
	GC            = "config-gc"
	Network       = "config-network"
	Observability = "config-observability"
	Tracing       = "config-tracing"
)

// Devbox is the name of a box's own ConfigMap, which is no other's.
const Devbox = "config-devbox"

// Key is one key of a ConfigMap.
type Key struct {
	Name string
	// Values are all that it may have; none means that who reads it judges.
	Values []string
	// How is what is different from Knative, or why there are no other values.
	How string
}

// List is the keys of a ConfigMap. A nil List has names of the user's own.
type List []Key

// Keys are the keys of Knative's ConfigMaps, and of Devbox.
var Keys = map[string]List{
	Devbox: {{Name: standbyPods}, {Name: standbyLife}},
	Domain: nil,
	Autoscaler: {
		{Name: "allow-zero-initial-scale"}, {Name: "container-concurrency-target-default"},
		{Name: "container-concurrency-target-percentage"}, {Name: "enable-scale-to-zero"}, {Name: "initial-scale"},
		{Name: "max-scale"}, {Name: "max-scale-down-rate"}, {Name: "max-scale-limit"}, {Name: "max-scale-up-rate"},
		{Name: "min-scale"}, {Name: "panic-threshold-percentage"}, {Name: "panic-window-percentage"},
		{Name: "requests-per-second-target-default"}, {Name: "scale-down-delay"},
		{Name: "scale-to-zero-pod-retention-period"}, {Name: "stable-window"},
		{Name: "activator-capacity", How: "is checked and decides nothing: a box has one activator"},
		{Name: "scale-to-zero-grace-period", How: "is checked and decides nothing: the activator is always on the way"},
		{Name: "target-burst-capacity", How: "decides nothing, as the activator stays on the way; the excess is computed and shown"},
		{Name: "pod-autoscaler-class", Values: []string{"kpa.autoscaling.knative.dev"}, How: "a box has no other autoscaler"},
	},
	Defaults: {
		{Name: "allow-container-concurrency-zero"}, {Name: "container-concurrency"}, {Name: "container-concurrency-max-limit"},
		{Name: "container-name-template", How: "is a name, and no template"}, {Name: "enable-service-links"},
		{Name: "init-container-name-template", How: "is a name, and no template"},
		{Name: "max-revision-timeout-seconds"}, {Name: "revision-cpu-limit"}, {Name: "revision-cpu-request"},
		{Name: "revision-ephemeral-storage-limit"}, {Name: "revision-ephemeral-storage-request"},
		{Name: "revision-idle-timeout-seconds"}, {Name: "revision-memory-limit"}, {Name: "revision-memory-request"},
		{Name: "revision-response-start-timeout-seconds"}, {Name: "revision-timeout-seconds"},
	},
	Deployment: {
		{Name: "digest-resolution-timeout"}, {Name: "progress-deadline", How: "has a default of a box's own, for a person waits for it"},
		{Name: "queue-sidecar-cpu-limit"}, {Name: "queue-sidecar-cpu-request"},
		{Name: "queue-sidecar-ephemeral-storage-limit"}, {Name: "queue-sidecar-ephemeral-storage-request"},
		{Name: "queue-sidecar-memory-limit"}, {Name: "queue-sidecar-memory-request"},
		{Name: "registries-skipping-tag-resolving"},
		{Name: "default-affinity-type", Values: []string{"none", "prefer-spread-revision-over-nodes", ""}, How: "a box has one node, and no other types"},
		{Name: "pod-is-always-schedulable", Values: []string{"false", ""}, How: "a box has one node, and nobody adds another"},
		{Name: "queue-sidecar-image", Values: []string{""}, How: "queue-proxy comes with devbox"},
		{Name: "queue-sidecar-rootca", Values: []string{""}, How: "queue-proxy takes no TLS; --mesh gives pods a sidecar that does"},
		{Name: "queue-sidecar-token-audiences", Values: []string{""}, How: "queue-proxy has no token"},
		{Name: "runtime-class-name", Values: []string{""}, How: "a box has one runtime"},
	},
	Features: {
		{Name: "kubernetes.podspec-init-containers", How: "is enabled in a box unless it says otherwise"},
		{Name: settings.TagHeader},
		{Name: "multi-container", Values: []string{"enabled"}, How: "several containers are always taken"},
		{Name: "kubernetes.podspec-volumes-emptydir", Values: []string{"enabled"}, How: "emptyDir is always taken"},
		notHere("autodetect-http2", "name the port h2c"),
		notHere("kubernetes.containerspec-addcapabilities", "only NET_BIND_SERVICE may be added"),
		notHere("kubernetes.podspec-affinity", oneNode),
		notHere("kubernetes.podspec-dnsconfig", noField),
		notHere("kubernetes.podspec-dnspolicy", noField),
		notHere("kubernetes.podspec-dryrun", "the API server judges a Service's pod when it is made"),
		notHere("kubernetes.podspec-fieldref", noField),
		notHere("kubernetes.podspec-hostaliases", noField),
		notHere("kubernetes.podspec-hostipc", noField),
		notHere("kubernetes.podspec-hostnetwork", noField),
		notHere("kubernetes.podspec-hostpid", noField),
		notHere("kubernetes.podspec-nodeselector", oneNode),
		notHere("kubernetes.podspec-persistent-volume-claim", noField),
		notHere("kubernetes.podspec-persistent-volume-write", noField),
		notHere("kubernetes.podspec-priorityclassname", oneNode),
		notHere("kubernetes.podspec-runtimeclassname", "a box has one runtime"),
		notHere("kubernetes.podspec-schedulername", oneNode),
		notHere("kubernetes.podspec-securitycontext", "set it on the containers"),
		notHere("kubernetes.podspec-shareprocessnamespace", noField),
		notHere("kubernetes.podspec-tolerations", oneNode),
		notHere("kubernetes.podspec-topologyspreadconstraints", oneNode),
		notHere("kubernetes.podspec-volumes-csi", noField),
		notHere("kubernetes.podspec-volumes-ephemeral", noField),
		notHere("kubernetes.podspec-volumes-hostpath", noField),
		notHere("kubernetes.podspec-volumes-image", noField),
		notHere("kubernetes.podspec-volumes-mount-propagation", noField),
		notHere("multi-container-probing", "only the container that takes the requests may have probes"),
		notHere("queueproxy.mount-podinfo", "queue-proxy reads nothing of the pod"),
		notHere("queueproxy.resource-defaults", "config-deployment has queue-proxy's resources"),
		notHere("responsive-revision-gc", "old revisions are always collected by config-gc"),
		notHere("secure-pod-defaults", "set securityContext on the containers"),
	},
	GC: {
		{Name: "max-non-active-revisions", How: "is 10 in a box unless it says otherwise, for every save makes a revision"},
		{Name: "min-non-active-revisions", How: "is 10 in a box unless it says otherwise"},
		{Name: "retain-since-create-time"}, {Name: "retain-since-last-active-time"},
	},
	Network: {
		{Name: "domain-template"}, {Name: "tag-template"},
		{Name: "rollout-duration"},
		{Name: "autocreate-cluster-domain-claims", Values: []string{"true"}, How: "a host is the DomainMapping's that names it first, without a ClusterDomainClaim"},
		{Name: "certificate-class", Values: []string{"", "cert-manager.certificate.networking.knative.dev"}, How: "nothing has a certificate in a box"},
		{Name: "cluster-local-domain-tls", Values: []string{"disabled"}, How: noTLS},
		{Name: "dataplane-trust", Values: []string{"disabled"}, How: noTLS},
		{Name: "default-external-scheme", Values: []string{"http"}, How: noTLS},
		{Name: "enable-mesh-pod-addressability", Values: []string{"false"}, How: "the activator reaches pods in the mesh by itself"},
		{Name: "external-domain-tls", Values: []string{"disabled"}, How: noTLS},
		{Name: "auto-tls", Values: []string{"disabled"}, How: noTLS},
		{Name: "http-protocol", Values: []string{"enabled"}, How: noTLS},
		{Name: "ingress-class", Values: []string{"istio.ingress.networking.knative.dev"}, How: "a box has no other gateway"},
		{Name: "mesh-compatibility-mode", Values: []string{"auto"}, How: "the activator reaches pods in the mesh by itself"},
		{Name: "namespace-wildcard-cert-selector", Values: []string{""}, How: noTLS},
		{Name: "system-internal-tls", Values: []string{"disabled"}, How: noTLS},
	},
	Observability: {
		{Name: "logging.enable-probe-request-log"}, {Name: "logging.enable-request-log"}, {Name: "logging.request-log-template"},
		{Name: "metrics-protocol"}, {Name: "request-metrics-protocol"}, {Name: "metrics.backend-destination"},
		{Name: "metrics.request-metrics-backend-destination"}, {Name: "tracing-endpoint"}, {Name: "tracing-protocol"}, {Name: "tracing-sampling-rate"},
		{Name: "logging.enable-var-log-collection", Values: []string{"false"}, How: "devbox logs has what containers write to their output"},
		{Name: "logging.revision-url-template", Values: []string{""}, How: "devbox logs has the logs of a revision"},
		{Name: "profiling.enable", Values: []string{"false"}, How: "no part serves profiles"},
		{Name: "runtime-profiling", Values: []string{"disabled"}, How: "no part serves profiles"},
		{Name: "metrics-endpoint", Values: []string{""}, How: noPush}, {Name: "metrics-export-interval", Values: []string{""}, How: noPush},
		{Name: "request-metrics-endpoint", Values: []string{""}, How: noPush}, {Name: "request-metrics-export-interval", Values: []string{""}, How: noPush},
	},
	Tracing: {{Name: "backend"}, {Name: "debug"}, {Name: "sample-rate"}, {Name: "zipkin-endpoint"}},
}

const (
	noField = "the kinds do not have its fields, and refuse them by name"
	oneNode = "a box has one node, to which every pod goes"
	noTLS   = "a box's gateway takes HTTP alone"
	noPush  = "numbers are served to who asks for them, and pushed nowhere"
)

// notHere is a feature that a box has not, whoever asks for it.
func notHere(feature, why string) Key {
	return Key{Name: feature, Values: []string{"disabled"}, How: why}
}
