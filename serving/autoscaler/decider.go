package autoscaler

import (
	"time"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// forgetAfter is how long a source's word about requests in flight counts. It
// repeats it every second; the stream itself takes five to be found dead.
const forgetAfter = 6 * time.Second

// decider is one revision's numbers, and the decisions made from them.
type decider struct {
	tracked  bool // its reconciler knows it; else only its numbers came
	revision Revision
	state    State
	last     Decision // with the reason for which Want last changed

	concurrency, requests *window
	inFlight              map[string]inFlight // by source
}

// inFlight is what one activator said last.
type inFlight struct {
	requests int
	at       time.Time
}

func newDecider() *decider {
	span := DefaultConfig().base.StableWindow
	return &decider{
		concurrency: newWindow(span),
		requests:    newWindow(span),
		inFlight:    make(map[string]inFlight),
	}
}

// track takes what the reconciler knows. It says whether a decision is due
// before the next tick.
func (d *decider) track(r Revision) (due bool) {
	due = !d.tracked || d.revision.Spec != r.Spec || d.revision.Reachable != r.Reachable
	d.tracked, d.revision = true, r
	d.concurrency.resize(r.Spec.StableWindow)
	d.requests.resize(r.Spec.StableWindow)
	return due
}

// count takes a second's numbers.
func (d *decider) count(source string, s *stream.Stats, now time.Time) {
	d.concurrency.record(now, max(0, s.Concurrency))
	d.requests.record(now, max(0, s.Requests))
	d.hold(source, s.InFlight, now)
}

// hold takes the number of requests that are in flight or wait.
func (d *decider) hold(source string, requests int, now time.Time) {
	if requests <= 0 {
		delete(d.inFlight, source)
		return
	}
	d.inFlight[source] = inFlight{requests, now}
}

// gone forgets what source said about the present. The past stays: those
// requests were made.
func (d *decider) gone(source string) { delete(d.inFlight, source) }

// stale says whether nothing recent is known, of a revision not tracked.
func (d *decider) stale(now time.Time) bool {
	return !d.tracked && len(d.inFlight) == 0 &&
		now.Unix()-d.concurrency.last > int64(len(d.concurrency.buckets))
}

// decide says whether Want has changed. Known says whether any activator is
// there to count.
func (d *decider) decide(now time.Time, known bool) (changed bool) {
	first := d.state.phase == ""
	var decision Decision
	d.state, decision = Decide(d.revision.Spec, d.state, d.observe(now, known))
	if !first && decision.Want == d.last.Want {
		// The reason is why the number is what it is; it does not flicker
		// with the averages.
		decision.Reason = d.last.Reason
		d.last = decision
		return false
	}
	d.last = decision
	return true
}

func (d *decider) observe(now time.Time, known bool) Observation {
	o := Observation{
		Now:       now,
		Known:     known,
		Ready:     d.revision.Ready,
		Pods:      d.revision.Pods,
		Reachable: d.revision.Reachable,
		Started:   d.revision.Started,
	}
	for source, f := range d.inFlight {
		if now.Sub(f.at) >= forgetAfter {
			delete(d.inFlight, source)
			continue
		}
		o.InFlight += f.requests
	}
	spec, w := d.revision.Spec, d.concurrency
	if spec.Metric == RPS {
		w = d.requests
	}
	average := w.average
	if spec.Aggregation == WeightedExponential {
		average = w.weighted
	}
	o.Stable = average(now, spec.StableWindow)
	o.Panic = average(now, spec.PanicWindow())
	return o
}
