package app

import (
	"context"
	"fmt"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/load"
	"github.com/kind-in-a-box/devbox/internal/terminal"
)

// What the live line looks back on, and how often it is written.
const (
	lookBack   = 5 * time.Second
	everyFrame = 500 * time.Millisecond // on a terminal
	everyLine  = 5 * time.Second        // elsewhere
)

// liveLine shows how the load goes, until it is stopped.
func (c *cluster) liveLine(ctx context.Context, on *subject, recorder *load.Recorder, timeline *load.Timeline) (stop func()) {
	reader := c.d.progress()
	every := everyLine
	if _, live := reader.(*terminal.Live); live {
		every = everyFrame
	}
	held := heldReader{box: c.box, on: on}
	began, done, ended := time.Now(), make(chan struct{}), make(chan struct{})
	show := event.Sink(reader.Show)
	show.Emit(event.Event{Kind: event.StepStarted, Step: "load", Message: "the first requests begin"})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				show.Emit(event.Event{Kind: event.StepProgress, Step: "load", Message: line(recorder.Last(lookBack), timeline, held.now(ctx))})
			case <-done:
				return
			}
		}
	}()
	return func() {
		close(done)
		<-ended
		total := recorder.Last(0).Total
		show.Emit(event.Event{Kind: event.StepDone, Step: "load", Message: fmt.Sprintf("%d requests", total), Duration: time.Since(began)})
		reader.Close()
	}
}

// line is the live line.
func line(w load.Window, timeline *load.Timeline, held string) string {
	pods := "pods unknown"
	if now, ok := timeline.Now(); ok {
		pods = fmt.Sprintf("pods %d/%d", now.Ready, now.Wanted)
	}
	if w.Requests == 0 {
		return "no answer in the last seconds, " + pods + ", " + held
	}
	return fmt.Sprintf("%.0f/s %.4g%%, p50 %s p95 %s p99 %s, %s, %s",
		w.Rate, w.Success*100, brief(w.P50), brief(w.P95), brief(w.P99), pods, held)
}

// brief is a latency in few columns.
func brief(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%.3gms", float64(d)/float64(time.Millisecond))
}

// numbers tells those of a box; *bootstrap.Box does.
type numbers interface {
	Metrics(ctx context.Context) (map[string]*dto.MetricFamily, error)
}

// heldReader asks how many requests to a service wait for a pod.
type heldReader struct {
	box   numbers
	on    *subject
	asked time.Time
	said  string
}

// askEvery is how often a box is asked for its numbers, which on kind takes a
// request through the API server to each of its parts.
const askEvery = time.Second

// now says it in words, also that it is not known.
func (h *heldReader) now(ctx context.Context) string {
	if !h.asked.IsZero() && time.Since(h.asked) < askEvery {
		return h.said
	}
	h.asked, h.said = time.Now(), "held unknown"
	ctx, cancel := context.WithTimeout(ctx, askEvery)
	defer cancel()
	families, err := h.box.Metrics(ctx)
	if err != nil {
		return h.said
	}
	family := families["activator_requests_held"]
	if family == nil {
		return h.said
	}
	held := 0.0
	for _, m := range family.GetMetric() {
		if label(m, "namespace_name") == h.on.namespace && label(m, "service_name") == h.on.name {
			held += m.GetGauge().GetValue()
		}
	}
	h.said = fmt.Sprintf("held %.0f", held)
	return h.said
}

// label is the value of a number's label.
func label(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
