package trace

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"

	"github.com/kind-in-a-box/devbox/serving/settings"
)

// Protocol is how spans are sent.
type Protocol string

// Protocols, by the values of the ConfigMaps.
const (
	Off    Protocol = ""
	OTLP   Protocol = "http/protobuf"
	Zipkin Protocol = "zipkin"
)

// path is where a collector of p takes spans, when its address does not say.
func (p Protocol) path() string {
	if p == Zipkin {
		return "/api/v2/spans"
	}
	return "/v1/traces"
}

// Settings are what is traced, and where it goes. The zero Settings trace nothing.
type Settings struct {
	Protocol Protocol
	Endpoint string  // URL of the collector
	Rate     float64 // share of the traces that begin here that are recorded, 0 to 1
}

// Names of the ConfigMaps that have settings, and of their keys; all are upstream's.
const (
	ObservabilityConfig = "config-observability"
	TracingConfig       = "config-tracing"

	protocolKey = "tracing-protocol"
	endpointKey = "tracing-endpoint"
	rateKey     = "tracing-sampling-rate"

	backendKey = "backend"
	zipkinKey  = "zipkin-endpoint"
	sampleKey  = "sample-rate"
	debugKey   = "debug"
)

// ParseObservability reads config-observability as Knative has it since 1.19.
// Its errors name the key, and so do ParseTracing's.
func ParseObservability(data map[string]string) (Settings, error) {
	rate, notRate := share(data, rateKey, 0)
	switch protocol := data[protocolKey]; protocol {
	case "", "none":
		return Settings{}, notRate
	case string(OTLP):
		endpoint, err := address(data, endpointKey, OTLP)
		return made(OTLP, endpoint, rate, errors.Join(err, notRate))
	case "grpc", "stdout":
		return Settings{}, fmt.Errorf("%s: %s is Knative's, but cannot be had here: use http/protobuf, or %s of %s", protocolKey, protocol, backendKey, TracingConfig)
	default:
		return Settings{}, fmt.Errorf("%s: %q must be none or http/protobuf", protocolKey, protocol)
	}
}

// ParseTracing reads config-tracing, as Knative had it until 1.18.
func ParseTracing(data map[string]string) (Settings, error) {
	rate, notRate := share(data, sampleKey, 0.1)
	debug, notDebug := settings.Truth(data, debugKey)
	if debug {
		rate = 1
	}
	err := errors.Join(notRate, notDebug)
	switch backend := data[backendKey]; backend {
	case "", "none":
		return Settings{}, err
	case string(Zipkin):
		endpoint, notEndpoint := address(data, zipkinKey, Zipkin)
		return made(Zipkin, endpoint, rate, errors.Join(notEndpoint, err))
	default:
		return Settings{}, fmt.Errorf("%s: %q must be none or zipkin", backendKey, backend)
	}
}

func made(p Protocol, endpoint string, rate float64, err error) (Settings, error) {
	if err != nil {
		return Settings{}, err
	}
	return Settings{p, endpoint, rate}, nil
}

func share(data map[string]string, key string, otherwise float64) (float64, error) {
	text, ok := data[key]
	if !ok {
		return otherwise, nil
	}
	rate, err := strconv.ParseFloat(text, 64)
	if err != nil || !(rate >= 0 && rate <= 1) { // nor is it NaN
		return 0, fmt.Errorf("%s: %q must be a number from 0 to 1", key, text)
	}
	return rate, nil
}

// address is the URL to which spans are sent.
func address(data map[string]string, key string, p Protocol) (string, error) {
	text := data[key]
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "", fmt.Errorf("%s: %q must be the URL of a collector, as in http://zipkin.observability:9411%s", key, text, p.path())
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = p.path()
	}
	return u.String(), nil
}

// Choice is what the box's two ConfigMaps ask for. The zero Choice asks for nothing.
type Choice struct {
	mu                     sync.Mutex
	observability, tracing Settings // each as it was last right
}

// Take notes what one of the ConfigMaps says; others are left alone. What is
// wrong changes nothing.
func (c *Choice) Take(name string, data map[string]string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch name {
	case ObservabilityConfig:
		return take(&c.observability, data, ParseObservability)
	case TracingConfig:
		return take(&c.tracing, data, ParseTracing)
	}
	return nil
}

func take(to *Settings, data map[string]string, parse func(map[string]string) (Settings, error)) error {
	s, err := parse(data)
	if err == nil {
		*to = s
	}
	return err
}

// Settings are what holds now: config-tracing's where config-observability has none.
func (c *Choice) Settings() Settings {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.observability.Protocol != Off {
		return c.observability
	}
	return c.tracing
}
