package trace

import (
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
)

// Tracer decides which requests are traced, and sends their spans away. A nil
// Tracer, and one that was told of no Settings, traces nothing.
type Tracer struct {
	service string // whose spans these are
	most    int    // spans that may wait
	log     *slog.Logger
	client  *http.Client

	now     atomic.Pointer[rule] // nil when nothing is traced
	dropped atomic.Uint64

	wake chan struct{} // holds a token when there is something to send
	mu   sync.Mutex
	wait []Span
}

// rule is Settings, and what follows from them.
type rule struct {
	Settings
	below uint64 // traces are recorded whose ID's last 63 bits are below
}

// New returns a Tracer for the spans of a service, of which most may wait to
// be sent. The rest is dropped.
func New(service string, most int, log *slog.Logger) *Tracer {
	return &Tracer{service: service, most: most, log: log, client: newClient(), wake: make(chan struct{}, 1)}
}

// Use makes s hold from now on.
func (t *Tracer) Use(s Settings) {
	if s.Protocol == Off {
		t.now.Store(nil)
		return
	}
	if r := t.now.Load(); r != nil && r.Settings == s {
		return
	}
	t.now.Store(&rule{s, uint64(s.Rate * (math.MaxInt64 + 1.0))})
}

// Join returns the place of a request with headers h in its trace, and nil
// when nothing is to be done about it: nothing is traced, or the trace is not
// recorded and its headers go on as they came. Who sent the request has decided whether the trace is
// recorded; where nobody has, it is decided here, by the trace's ID.
func (t *Tracer) Join(h http.Header) *Context {
	if t == nil {
		return nil
	}
	r := t.now.Load()
	if r == nil {
		return nil
	}
	c := read(h)
	if c.decided && !c.Sampled && c.Parent != (SpanID{}) && c.b3 == 0 {
		return nil
	}
	if c.Trace == (TraceID{}) {
		c.Trace = newTraceID()
	}
	if !c.decided {
		c.Sampled = binary.BigEndian.Uint64(c.Trace[8:])>>1 < r.below
	}
	place := c // so that what is not recorded allocates nothing
	return &place
}

// Finish hands over spans that have ended. It never waits.
func (t *Tracer) Finish(spans ...Span) {
	t.mu.Lock()
	room := min(t.most-len(t.wait), len(spans))
	t.wait = append(t.wait, spans[:room]...)
	before, n := len(t.wait)-room, len(t.wait)
	t.mu.Unlock()
	t.dropped.Add(uint64(len(spans) - room))
	if full := t.most / 2; before == 0 && n > 0 || before < full && n >= full {
		t.wakeUp()
	}
}

func (t *Tracer) wakeUp() {
	select {
	case t.wake <- struct{}{}:
	default:
	}
}

// take returns the spans that wait.
func (t *Tracer) take() []Span {
	t.mu.Lock()
	defer t.mu.Unlock()
	spans := t.wait
	t.wait = nil
	return spans
}

func (t *Tracer) halfFull() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.wait) >= t.most/2
}

// WriteMetrics writes how many spans were lost, in Prometheus' text format. A
// nil Tracer loses none, and says nothing.
func (t *Tracer) WriteMetrics(w io.Writer, labels string) {
	if t == nil {
		return
	}
	const name = "trace_spans_dropped_total"
	fmt.Fprintf(w, "# HELP %s Spans that no collector took.\n# TYPE %s counter\n", name, name)
	if labels != "" {
		labels = "{" + labels + "}"
	}
	fmt.Fprintf(w, "%s%s %d\n", name, labels, t.dropped.Load())
}
