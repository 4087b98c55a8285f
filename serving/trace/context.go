package trace

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"
	"net/http"
)

// TraceID names a trace, and SpanID a span of it. Zero is none.
type (
	TraceID [16]byte
	SpanID  [8]byte
)

// String is the ID as headers have it.
func (t TraceID) String() string { return hex.EncodeToString(t[:]) }

// String is the ID as headers have it.
func (s SpanID) String() string { return hex.EncodeToString(s[:]) }

func newTraceID() (t TraceID) {
	binary.BigEndian.PutUint64(t[:8], rand.Uint64())
	binary.BigEndian.PutUint64(t[8:], rand.Uint64()|1) // never zero
	return t
}

// NewSpanID returns an ID for a span.
func NewSpanID() (s SpanID) {
	binary.BigEndian.PutUint64(s[:], rand.Uint64()|1)
	return s
}

// Headers of W3C's Trace Context, in the spelling of net/http.
const (
	parentHeader = "Traceparent"
	stateHeader  = "Tracestate"
)

// Context is a request's place in a trace.
type Context struct {
	Trace   TraceID
	Parent  SpanID // the span of who sent the request; zero where the trace begins here
	Sampled bool   // the trace is recorded
	Debug   bool   // whoever began it wants it recorded in any case

	decided  bool // Sampled is the word of who sent the request
	b3       forms
	stateful bool // Tracestate belongs to this trace
}

// read returns what a request's headers say. Where both kinds name a trace, B3
// counts: Istio's gateway speaks it, and so a traceparent beside it is the
// client's, from before the gateway. What is no such header is as none.
func read(h http.Header) Context {
	w3c, ok := readParent(h)
	c := readB3(h)
	if !ok {
		return c
	}
	if c.Trace == (TraceID{}) {
		w3c.b3 = c.b3
		return w3c
	}
	c.stateful = c.Trace == w3c.Trace
	if !c.decided && c.stateful {
		c.Sampled, c.decided = w3c.Sampled, true
	}
	return c
}

// The fields of a traceparent: 00-<trace>-<span>-<flags>. Later versions may
// add more behind them.
const (
	parentLength = 2 + 1 + 32 + 1 + 16 + 1 + 2
	sampledFlag  = 1
)

func readParent(h http.Header) (c Context, ok bool) {
	said := h[parentHeader]
	if len(said) != 1 || len(said[0]) < parentLength {
		return c, false
	}
	text := said[0]
	var version, flags [1]byte
	ok = unhex(version[:], text[:2]) && unhex(c.Trace[:], text[3:35]) && unhex(c.Parent[:], text[36:52]) && unhex(flags[:], text[53:55]) &&
		text[2] == '-' && text[35] == '-' && text[52] == '-' && version[0] != 0xff &&
		(len(text) == parentLength || version[0] != 0 && text[parentLength] == '-') &&
		c.Trace != TraceID{} && c.Parent != SpanID{}
	if !ok {
		return Context{}, false
	}
	c.Sampled, c.decided, c.stateful = flags[0]&sampledFlag != 0, true, true
	return c, true
}

// unhex fills to from hexadecimal digits, which are lower case.
func unhex(to []byte, text string) bool {
	if len(text) != 2*len(to) {
		return false
	}
	for i := range to {
		high, low := digit(text[2*i]), digit(text[2*i+1])
		if high > 15 || low > 15 {
			return false
		}
		to[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}

// Inject tells the next hop, by its request's headers, that span is its
// parent: as W3C has it, and in B3's forms in which the request came.
func (c *Context) Inject(h http.Header, span SpanID) {
	text := make([]byte, 0, parentLength)
	text = append(text, "00-"...)
	text = hex.AppendEncode(text, c.Trace[:])
	text = append(text, '-')
	text = hex.AppendEncode(text, span[:])
	flags := "-00"
	if c.Sampled {
		flags = "-01"
	}
	text = append(text, flags...)
	h[parentHeader] = []string{string(text)}
	if !c.stateful {
		delete(h, stateHeader) // it is of a trace that ends here
	}
	c.injectB3(h, span)
}

// InjectUnrecorded passes a trace on that is not recorded: the span of who sent
// the request stays the parent, and who comes next need not decide again.
func (c *Context) InjectUnrecorded(h http.Header) {
	span := c.Parent
	if span == (SpanID{}) {
		span = NewSpanID()
	}
	c.Inject(h, span)
}
