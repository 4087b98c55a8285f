package queue

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/serving/settings"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// Config is what the sidecar is told by the revision's pod.
type Config struct {
	// ListenHost is the address all ports are opened on; empty means all.
	ListenHost string
	// ServingPort takes requests; the others are admin and metrics.
	ServingPort, AdminPort, AutometricPort, UsermetricPort int
	// Handed names the listeners that are open already, in the order of their
	// descriptors: admin, autometric, usermetric, serving, and entrance.
	Handed []string

	// UserAddress is where the user container listens.
	UserAddress string
	// UserH2C says that it must be spoken to in HTTP/2 without TLS.
	UserH2C bool

	// Concurrency is the most requests the container is given at a time; 0
	// means no limit.
	Concurrency int
	// Timeout and ResponseStart bound the wait for the response to begin,
	// Idle the time in which the container writes nothing. 0 means no bound.
	Timeout, ResponseStart, Idle time.Duration

	// Probe is how the user container is asked whether it is ready.
	Probe Probe
	// DrainQuiet is how long no request may have come before the pod goes.
	DrainQuiet time.Duration

	// RequestLog takes a line for every request, made by RequestLogTemplate, a
	// text/template over Knative's fields. There is none where either is empty.
	RequestLog         io.Writer
	RequestLogTemplate string
	// LogProbes says that probes are requests to the log too.
	LogProbes bool

	// OTelMetrics says that metrics have upstream's names since 1.19 too.
	OTelMetrics bool
	// Tracing is what is traced, and where it goes.
	Tracing trace.Settings

	// Labels name the revision in metrics and in the request log, PodIP the
	// pod in the latter.
	Labels Labels
	PodIP  string
}

// Labels are the names on every metric.
type Labels struct{ Namespace, Service, Configuration, Revision, Pod string }

const (
	defaultQuiet = time.Second
	// drainLimit is the time to drain where the revision has no timeout.
	drainLimit = 300 * time.Second
)

// FromEnv reads a Config from the variables of the sidecar's container, which
// have Knative's names where Knative has them.
func FromEnv(get func(string) string) (Config, error) {
	e := env{get: get}
	c := Config{
		ListenHost:         get("QUEUE_LISTEN_HOST"),
		ServingPort:        e.integer("QUEUE_SERVING_PORT", 8012),
		AdminPort:          e.integer("QUEUE_ADMIN_PORT", 8022),
		AutometricPort:     e.integer("QUEUE_AUTOMETRIC_PORT", 9090),
		UsermetricPort:     e.integer("QUEUE_USERMETRIC_PORT", 9091),
		UserAddress:        "127.0.0.1:" + strconv.Itoa(e.integer("USER_PORT", 8080)),
		UserH2C:            get("USER_PROTOCOL") == "h2c",
		Concurrency:        e.integer("CONTAINER_CONCURRENCY", 0),
		Timeout:            e.seconds("REVISION_TIMEOUT_SECONDS"),
		ResponseStart:      e.seconds("REVISION_RESPONSE_START_TIMEOUT_SECONDS"),
		Idle:               e.seconds("REVISION_IDLE_TIMEOUT_SECONDS"),
		DrainQuiet:         e.duration("DRAIN_QUIET_PERIOD", defaultQuiet),
		RequestLogTemplate: get("SERVING_REQUEST_LOG_TEMPLATE"),
		LogProbes:          get("SERVING_ENABLE_PROBE_REQUEST_LOG") == "true",
		OTelMetrics:        get("SERVING_REQUEST_METRICS_PROTOCOL") == settings.Prometheus,
		PodIP:              get("SERVING_POD_IP"),
		Tracing: trace.Settings{
			Protocol: trace.Protocol(get("TRACING_PROTOCOL")),
			Endpoint: get("TRACING_ENDPOINT"),
			Rate:     e.share("TRACING_SAMPLING_RATE"),
		},
		Labels: Labels{
			Namespace:     get("SERVING_NAMESPACE"),
			Service:       get("SERVING_SERVICE"),
			Configuration: get("SERVING_CONFIGURATION"),
			Revision:      get("SERVING_REVISION"),
			Pod:           get("SERVING_POD"),
		},
	}
	if names := get("LISTEN_FDNAMES"); names != "" {
		c.Handed = strings.Split(names, ":")
	}
	if text := strings.TrimSpace(get("SERVING_READINESS_PROBE")); text != "" {
		e.note("SERVING_READINESS_PROBE", json.Unmarshal([]byte(text), &c.Probe))
	}
	return c, e.err
}

// env remembers the first variable that cannot be read.
type env struct {
	get func(string) string
	err error
}

func (e *env) note(name string, err error) {
	if err != nil && e.err == nil {
		e.err = fmt.Errorf("reading %s=%q: %w", name, e.get(name), err)
	}
}

func (e *env) integer(name string, otherwise int) int {
	text := e.get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err == nil && n < 0 {
		err = strconv.ErrRange
	}
	e.note(name, err)
	return n
}

func (e *env) seconds(name string) time.Duration {
	return time.Duration(e.integer(name, 0)) * time.Second
}

func (e *env) share(name string) float64 {
	text := e.get(name)
	if text == "" {
		return 0
	}
	rate, err := strconv.ParseFloat(text, 64)
	if err == nil && !(rate >= 0 && rate <= 1) {
		err = strconv.ErrRange
	}
	e.note(name, err)
	return rate
}

func (e *env) duration(name string, otherwise time.Duration) time.Duration {
	text := e.get(name)
	if text == "" {
		return otherwise
	}
	d, err := time.ParseDuration(text)
	e.note(name, err)
	return d
}
