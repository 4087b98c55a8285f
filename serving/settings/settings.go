// Package settings reads what several parts of the serving stack are told by the
// same ConfigMaps, so that there is one reading of it.
package settings

import (
	"errors"
	"fmt"
	"strconv"
)

// Truth reads a key that is true or false, and false where it is not there. Its
// error names the key.
func Truth(data map[string]string, key string) (bool, error) {
	text, ok := data[key]
	if !ok {
		return false, nil
	}
	is, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("%s: %q must be true or false", key, text)
	}
	return is, nil
}

// Prometheus is the one protocol that metrics are served in.
const Prometheus = "prometheus"

// The keys of config-observability that choose how metrics are exported, of the
// parts and of queue-proxy: those of upstream since 1.19, then those before.
const (
	partsProtocolKey    = "metrics-protocol"
	requestsProtocolKey = "request-metrics-protocol"
	partsBackendKey     = "metrics.backend-destination"
	requestsBackendKey  = "metrics.request-metrics-backend-destination"
)

// OTelNames says whose metrics have upstream's names since 1.19, beside the
// classic ones that are always there.
type OTelNames struct{ Parts, Requests bool }

// ParseOTelNames reads the data of config-observability: the protocol
// prometheus asks for those names. Its errors name the key. Nothing is pushed
// anywhere, so that the protocols that do are refused.
func ParseOTelNames(data map[string]string) (OTelNames, error) {
	parts, notParts := served(data, partsProtocolKey)
	requests, notRequests := served(data, requestsProtocolKey)
	_, notBackend := served(data, partsBackendKey)
	_, notRequestsBackend := served(data, requestsBackendKey)
	if err := errors.Join(notParts, notRequests, notBackend, notRequestsBackend); err != nil {
		return OTelNames{}, err
	}
	return OTelNames{parts, requests}, nil
}

func served(data map[string]string, key string) (bool, error) {
	switch protocol := data[key]; protocol {
	case Prometheus:
		return true, nil
	case "", "none":
		return false, nil
	default:
		return false, fmt.Errorf("%s: %q must be %s or none; numbers are served to who asks for them, and pushed nowhere", key, protocol, Prometheus)
	}
}
