package trace

import (
	"encoding/binary"
	"time"
)

// Numbers of OTLP's fields, from opentelemetry/proto/collector/trace/v1,
// resource/v1, common/v1 and trace/v1. The messages are few and frozen: to
// write them by hand spares every pod a library.
const (
	requestResourceSpans = 1

	resourceSpansResource = 1
	resourceSpansScope    = 2
	resourceAttributes    = 1
	scopeScope            = 1
	scopeSpans            = 2
	scopeName             = 1

	spanTrace, spanID, spanParent  = 1, 2, 4
	spanName, spanKind             = 5, 6
	spanStart, spanEnd             = 7, 8
	spanAttributes, spanEvents     = 9, 11
	spanStatus                     = 15
	eventTime, eventName           = 1, 2
	statusMessage, statusCode      = 2, 3
	keyValueKey, keyValueValue     = 1, 2
	anyString                      = 1
	statusError                    = 2
	library                        = "devbox"
	serviceName                    = "service.name"
	wireVarint, wire64, wireLength = 0, 1, 2
)

// message is a protobuf message that is written field by field.
type message []byte

func (m *message) tag(field, wire int) { *m = binary.AppendUvarint(*m, uint64(field<<3|wire)) }

func (m *message) number(field int, n uint64) {
	m.tag(field, wireVarint)
	*m = binary.AppendUvarint(*m, n)
}

func (m *message) time(field int, at time.Time) {
	m.tag(field, wire64)
	*m = binary.LittleEndian.AppendUint64(*m, uint64(at.UnixNano()))
}

func (m *message) bytes(field int, b []byte) {
	m.tag(field, wireLength)
	*m = binary.AppendUvarint(*m, uint64(len(b)))
	*m = append(*m, b...)
}

func (m *message) text(field int, s string) {
	m.tag(field, wireLength)
	*m = binary.AppendUvarint(*m, uint64(len(s)))
	*m = append(*m, s...)
}

func (m *message) attribute(field int, a Attribute) {
	var value, pair message
	value.text(anyString, a.Value)
	pair.text(keyValueKey, a.Key)
	pair.bytes(keyValueValue, value)
	m.bytes(field, pair)
}

// encodeOTLP writes spans as an ExportTraceServiceRequest.
func encodeOTLP(service string, spans []Span) []byte {
	var request, resourceSpans, resource, scoped, scope message
	resource.attribute(resourceAttributes, Attribute{serviceName, service})
	scope.text(scopeName, library)
	scoped.bytes(scopeScope, scope)
	for i := range spans {
		scoped.bytes(scopeSpans, encodeSpan(&spans[i]))
	}
	resourceSpans.bytes(resourceSpansResource, resource)
	resourceSpans.bytes(resourceSpansScope, scoped)
	request.bytes(requestResourceSpans, resourceSpans)
	return request
}

func encodeSpan(s *Span) (m message) {
	m.bytes(spanTrace, s.Trace[:])
	m.bytes(spanID, s.ID[:])
	if s.Parent != (SpanID{}) {
		m.bytes(spanParent, s.Parent[:])
	}
	m.text(spanName, s.Name)
	m.number(spanKind, uint64(s.Kind))
	m.time(spanStart, s.Start)
	m.time(spanEnd, s.End)
	for _, a := range s.Attributes {
		m.attribute(spanAttributes, a)
	}
	for _, e := range s.Events {
		var event message
		event.time(eventTime, e.At)
		event.text(eventName, e.Name)
		m.bytes(spanEvents, event)
	}
	if s.Failed != "" {
		var status message
		status.text(statusMessage, s.Failed)
		status.number(statusCode, statusError)
		m.bytes(spanStatus, status)
	}
	return m
}
