// Package tally counts what the watch loop does, from the event stream alone:
// it is one more reader beside the terminal, and decides nothing.
//
//	event.Sink --> Take --> edits, phases --> Text --> the box, which serves it
//
// An edit is what became of a saved file. What a service's first build came to
// is none, since nobody saved anything.
package tally

import (
	"bytes"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Outcomes of an edit.
const (
	live        = "live"         // its revision answers
	buildFailed = "build_failed" // it does not compile
	failed      = "failed"       // its revision does not answer
)

// bounds are the upper bounds of the histograms, in milliseconds.
var bounds = []float64{5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000}

// Tally is the numbers of one session. Its methods may be called from anywhere.
type Tally struct {
	registry *prometheus.Registry
	edits    *prometheus.CounterVec
	phases   *prometheus.HistogramVec
	whole    *prometheus.HistogramVec

	mu      sync.Mutex
	edited  map[string]bool // services of which a file was saved
	changes int
}

// New returns a Tally that has seen nothing.
func New() *Tally {
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, labels)
	}
	t := &Tally{
		registry: prometheus.NewRegistry(),
		edits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "devbox_loop_edits_total", Help: "Edits, by what became of them.",
		}, []string{"service_name", "outcome"}),
		phases: histogram("devbox_loop_phase_latencies", "Time of the phases of edits, in milliseconds.", "service_name", "phase"),
		whole:  histogram("devbox_loop_edit_latencies", "Time from a save until its revision answered, in milliseconds.", "service_name"),
		edited: map[string]bool{},
	}
	t.registry.MustRegister(t.edits, t.phases, t.whole)
	return t
}

// Take is an event.Sink.
func (t *Tally) Take(e event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Kind == event.Changed {
		t.edited[e.Service] = true
	}
	if !t.edited[e.Service] {
		return
	}
	switch e.Kind {
	case event.RevisionLive:
		for _, p := range e.Phases {
			t.phases.WithLabelValues(e.Service, p.Name).Observe(milliseconds(p.Duration))
		}
		t.whole.WithLabelValues(e.Service).Observe(milliseconds(e.Duration))
		t.end(e, live)
	case event.BuildFailed:
		t.phases.WithLabelValues(e.Service, "build").Observe(milliseconds(e.Duration))
		t.end(e, buildFailed)
	case event.RevisionFailed:
		t.end(e, failed)
	}
}

func (t *Tally) end(e event.Event, outcome string) {
	t.edits.WithLabelValues(e.Service, outcome).Inc()
	t.changes++
}

// Changes grows whenever the numbers change.
func (t *Tally) Changes() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changes
}

// Text is the numbers in Prometheus' text format.
func (t *Tally) Text() ([]byte, error) {
	families, err := t.registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gathering the loop's numbers: %w", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, fmt.Errorf("writing the loop's numbers: %w", err)
		}
	}
	return text.Bytes(), nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
