package queue

import (
	"errors"
	"fmt"
	"strconv"
)

// RequestLog is what the whole box asks of the request logs: the ConfigMap
// config-observability, with upstream's keys and defaults. The zero value, as
// of an empty ConfigMap, asks for none.
type RequestLog struct {
	Template string // of a line
	Probes   bool   // probes are requests to the log too
}

const (
	templateKey = "logging.request-log-template"
	requestsKey = "logging.enable-request-log"
	probesKey   = "logging.enable-probe-request-log"
	standard    = `{"httpRequest": {"requestMethod": "{{.Request.Method}}", "requestUrl": "{{js .Request.RequestURI}}", ` +
		`"requestSize": "{{.Request.ContentLength}}", "status": {{.Response.Code}}, "responseSize": "{{.Response.Size}}", ` +
		`"userAgent": "{{js .Request.UserAgent}}", "remoteIp": "{{js .Request.RemoteAddr}}", "serverIp": "{{.Revision.PodIP}}", ` +
		`"referer": "{{js .Request.Referer}}", "latency": "{{.Response.Latency}}s", "protocol": "{{.Request.Proto}}"}, ` +
		`"traceId": "{{.TraceID}}"}`
)

// ParseRequestLog reads the data of config-observability. Its errors name the
// key. A template is checked also while nothing is logged, as upstream does;
// keys that it does not know are left alone.
func ParseRequestLog(data map[string]string) (RequestLog, error) {
	template, ok := data[templateKey]
	if !ok {
		template = standard
	}
	requests, notRequests := truth(data, requestsKey)
	probes, notProbes := truth(data, probesKey)
	_, notTemplate := parseLogTemplate(template)
	switch {
	case notTemplate != nil:
		notTemplate = fmt.Errorf("%s: %w", templateKey, notTemplate)
	case requests && template == "":
		notTemplate = fmt.Errorf("%s: must say what to write, since %s is true", templateKey, requestsKey)
	}
	err := errors.Join(notTemplate, notRequests, notProbes)
	if err != nil || !requests {
		return RequestLog{}, err
	}
	return RequestLog{template, probes}, nil
}

func truth(data map[string]string, key string) (bool, error) {
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
