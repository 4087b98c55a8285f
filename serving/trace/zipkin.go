package trace

import (
	"encoding/json"
	"time"
)

// zipkinSpan is a span of Zipkin's API v2. Times are in microseconds.
type zipkinSpan struct {
	TraceID   string             `json:"traceId"`
	ID        string             `json:"id"`
	Parent    string             `json:"parentId,omitempty"`
	Name      string             `json:"name"`
	Kind      string             `json:"kind,omitempty"`
	Timestamp int64              `json:"timestamp"`
	Duration  int64              `json:"duration"`
	Debug     bool               `json:"debug,omitempty"`
	Local     zipkinEndpoint     `json:"localEndpoint"`
	Tags      map[string]string  `json:"tags,omitempty"`
	Events    []zipkinAnnotation `json:"annotations,omitempty"`
}

type zipkinEndpoint struct {
	Service string `json:"serviceName"`
}

type zipkinAnnotation struct {
	Timestamp int64  `json:"timestamp"`
	Value     string `json:"value"`
}

// encodeZipkin writes spans as Zipkin takes them.
func encodeZipkin(service string, spans []Span) ([]byte, error) {
	all := make([]zipkinSpan, len(spans))
	for i, s := range spans {
		all[i] = zipkinSpan{
			TraceID: s.Trace.String(), ID: s.ID.String(), Name: s.Name, Kind: zipkinKind(s.Kind), Debug: s.Debug,
			Timestamp: s.Start.UnixMicro(), Duration: max(1, s.End.Sub(s.Start).Round(time.Microsecond).Microseconds()),
			Local: zipkinEndpoint{service}, Tags: make(map[string]string, len(s.Attributes)+1),
		}
		if s.Parent != (SpanID{}) {
			all[i].Parent = s.Parent.String()
		}
		for _, a := range s.Attributes {
			all[i].Tags[a.Key] = a.Value
		}
		if s.Failed != "" {
			all[i].Tags["error"] = s.Failed
		}
		for _, e := range s.Events {
			all[i].Events = append(all[i].Events, zipkinAnnotation{e.At.UnixMicro(), e.Name})
		}
	}
	return json.Marshal(all)
}

func zipkinKind(k Kind) string {
	switch k {
	case Server:
		return "SERVER"
	case Client:
		return "CLIENT"
	}
	return ""
}
