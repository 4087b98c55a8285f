package trace

import (
	"net/http"
	"strings"
)

// Headers of B3, in the spelling of net/http.
const (
	b3Header       = "B3"
	b3TraceHeader  = "X-B3-Traceid"
	b3SpanHeader   = "X-B3-Spanid"
	b3ParentHeader = "X-B3-Parentspanid"
	b3SampleHeader = "X-B3-Sampled"
	b3FlagsHeader  = "X-B3-Flags"
)

// forms are those of B3's that a request came in.
type forms byte

const (
	single forms = 1 << iota // all in one header
	multi                    // a header each
)

// readB3 returns what B3 says: a trace, or only whether there is to be one.
func readB3(h http.Header) Context {
	one, isOne := readSingle(only(h[b3Header]))
	many, isMany := readMulti(h)
	c := one
	if !isOne {
		c = many
	}
	if isOne {
		c.b3 |= single
	}
	if isMany {
		c.b3 |= multi
	}
	return c
}

// only is a header's value where it is there once.
func only(said []string) string {
	if len(said) != 1 {
		return ""
	}
	return said[0]
}

// readSingle reads <trace>-<span>[-<sampled>[-<parent>]], or <sampled> alone.
func readSingle(text string) (c Context, ok bool) {
	if text == "" || len(text) > 32+1+16+1+1+1+16 {
		return c, false
	}
	parts := strings.Split(text, "-")
	if len(parts) == 1 {
		return c, c.decide(text)
	}
	if len(parts) > 4 || !c.identify(parts[0], parts[1]) || len(parts) > 2 && !c.decide(parts[2]) || len(parts) > 3 && !unhex(new(SpanID)[:], parts[3]) {
		return Context{}, false
	}
	return c, true
}

// readMulti reads a header for each.
func readMulti(h http.Header) (c Context, ok bool) {
	decided := only(h[b3FlagsHeader]) == "1" && c.decide("d") || c.decide(only(h[b3SampleHeader]))
	trace := only(h[b3TraceHeader])
	if trace == "" {
		return c, decided
	}
	return c, c.identify(trace, only(h[b3SpanHeader])) || decided
}

// identify reads two IDs. A trace's may have half the length.
func (c *Context) identify(trace, span string) bool {
	var t TraceID
	var s SpanID
	ids := t[:]
	if len(trace) == 16 {
		ids = t[8:]
	}
	if !unhex(ids, trace) || !unhex(s[:], span) || t == (TraceID{}) || s == (SpanID{}) {
		return false
	}
	c.Trace, c.Parent = t, s
	return true
}

// decide reads whether the trace is recorded; d is for debug.
func (c *Context) decide(text string) bool {
	switch text {
	case "1", "true":
		c.Sampled = true
	case "0", "false":
	case "d":
		c.Sampled, c.Debug = true, true
	default:
		return false
	}
	c.decided = true
	return true
}

// sampled is the decision in B3's words.
func (c *Context) sampled() string {
	switch {
	case c.Debug:
		return "d"
	case c.Sampled:
		return "1"
	}
	return "0"
}

func (c *Context) injectB3(h http.Header, span SpanID) {
	if c.b3&single != 0 {
		text := c.Trace.String() + "-" + span.String() + "-" + c.sampled()
		if c.Parent != (SpanID{}) && c.Parent != span {
			text += "-" + c.Parent.String()
		}
		h[b3Header] = []string{text}
	}
	if c.b3&multi == 0 {
		return
	}
	h[b3TraceHeader], h[b3SpanHeader] = []string{c.Trace.String()}, []string{span.String()}
	if c.Debug {
		h[b3FlagsHeader] = []string{"1"}
		delete(h, b3SampleHeader) // it is implied
	} else {
		h[b3SampleHeader] = []string{c.sampled()}
	}
	switch c.Parent {
	case SpanID{}:
		delete(h, b3ParentHeader)
	case span: // as it came
	default:
		h[b3ParentHeader] = []string{c.Parent.String()}
	}
}
