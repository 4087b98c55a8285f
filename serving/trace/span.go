package trace

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Kind says which side of a request a span is.
type Kind byte

// Kinds of spans, by OTLP's numbers.
const (
	Internal Kind = 1 + iota
	Server
	Client
)

// Span is one part of a request's way that has ended.
type Span struct {
	Trace      TraceID
	ID, Parent SpanID
	Debug      bool
	Name       string
	Kind       Kind
	Start, End time.Time
	Attributes []Attribute
	Events     []Event
	Failed     string // why, or ""
}

// Attribute is what is known of a span.
type Attribute struct{ Key, Value string }

// Event is what happened in a span.
type Event struct {
	At   time.Time
	Name string
}

// New begins a span of c's trace, below parent.
func (c *Context) New(name string, kind Kind, parent SpanID, start time.Time) Span {
	return Span{Trace: c.Trace, ID: NewSpanID(), Parent: parent, Debug: c.Debug, Name: name, Kind: kind, Start: start}
}

// mostText is how much of a text is kept: clients choose paths and methods.
const mostText = 256

// Set notes an attribute. An empty value is none.
func (s *Span) Set(key, value string) {
	if value == "" {
		return
	}
	if len(value) > mostText {
		value = value[:mostText]
	}
	s.Attributes = append(s.Attributes, Attribute{key, strings.Clone(strings.ToValidUTF8(value, "\uFFFD"))})
}

// Happened notes an event.
func (s *Span) Happened(name string, at time.Time) { s.Events = append(s.Events, Event{at, name}) }

// Describe notes a request and the status of its answer, by OpenTelemetry's
// names. Status 0 means that there was no answer.
func (s *Span) Describe(r *http.Request, status int) {
	s.Set("http.request.method", r.Method)
	s.Set("server.address", r.Host)
	s.Set("url.path", r.URL.Path) // a query may hold secrets
	if status == 0 {
		s.Failed = "there was no answer"
		return
	}
	s.Set("http.response.status_code", strconv.Itoa(status))
	if status >= http.StatusInternalServerError {
		s.Failed = strconv.Itoa(status)
	}
}
