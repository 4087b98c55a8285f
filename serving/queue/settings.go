package queue

import (
	"errors"
	"fmt"

	"github.com/kind-in-a-box/devbox/serving/settings"
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
	requests, notRequests := settings.Truth(data, requestsKey)
	probes, notProbes := settings.Truth(data, probesKey)
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
