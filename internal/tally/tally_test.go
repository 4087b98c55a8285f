package tally

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

func text(t *testing.T, tally *Tally) string {
	t.Helper()
	text, err := tally.Text()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTally(t *testing.T) {
	tally := New()
	took := func(ms int, phases ...event.Phase) event.Event {
		return event.Event{Kind: event.RevisionLive, Service: "hello", Duration: time.Duration(ms) * time.Millisecond, Phases: phases}
	}
	tally.Take(took(9000, event.Phase{Name: "build", Duration: 8 * time.Second}))
	tally.Take(event.Event{Kind: event.RevisionFailed, Service: "other"})
	if got := text(t, tally); got != "" || tally.Changes() != 0 {
		t.Errorf("before any save: %d changes\n%s", tally.Changes(), got)
	}
	for range 2 {
		tally.Take(event.Event{Kind: event.Changed, Service: "hello"})
		tally.Take(took(600, event.Phase{Name: "build", Duration: 500 * time.Millisecond}, event.Phase{Name: "pod", Duration: 100 * time.Millisecond}))
	}
	tally.Take(event.Event{Kind: event.BuildFailed, Service: "hello", Duration: time.Second})
	tally.Take(event.Event{Kind: event.RevisionFailed, Service: "hello"})
	tally.Take(event.Event{Kind: event.Note, Service: "hello"})
	got := text(t, tally)
	for _, want := range []string{
		`devbox_loop_edits_total{outcome="live",service_name="hello"} 2`,
		`devbox_loop_edits_total{outcome="build_failed",service_name="hello"} 1`,
		`devbox_loop_edits_total{outcome="failed",service_name="hello"} 1`,
		`devbox_loop_edit_latencies_bucket{service_name="hello",le="500"} 0`,
		`devbox_loop_edit_latencies_bucket{service_name="hello",le="1000"} 2`,
		`devbox_loop_edit_latencies_sum{service_name="hello"} 1200`,
		`devbox_loop_phase_latencies_count{phase="build",service_name="hello"} 3`,
		`devbox_loop_phase_latencies_sum{phase="pod",service_name="hello"} 200`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "other") || tally.Changes() != 4 {
		t.Errorf("%d changes:\n%s", tally.Changes(), got)
	}
}

// TestTallyOfManyAtOnce is for the race detector.
func TestTallyOfManyAtOnce(t *testing.T) {
	tally := New()
	var sinks sync.WaitGroup
	for i := range 8 {
		sinks.Go(func() {
			service := fmt.Sprint("s", i%2)
			tally.Take(event.Event{Kind: event.Changed, Service: service})
			tally.Take(event.Event{Kind: event.RevisionLive, Service: service})
			_ = text(t, tally)
		})
	}
	sinks.Wait()
	if tally.Changes() != 8 {
		t.Errorf("%d changes", tally.Changes())
	}
}
