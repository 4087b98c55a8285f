package activator

import (
	"context"
	"time"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// reportEvery is the period of the numbers that the autoscaler decides on.
const reportEvery = time.Second

// report tells the controller every second what each revision had to do, and
// once more, all zero, when it has nothing to do any more.
func (r *roads) report(ctx context.Context) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	busy := make(map[*revision]bool)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for _, rev := range r.all() {
				r.reportOne(rev, now, busy)
			}
		}
	}
}

func (r *roads) reportOne(rev *revision, now time.Time, busy map[*revision]bool) {
	n := rev.count.Report(now)
	active := n.Requests > 0 || n.InFlight > 0 || n.Concurrency > 0
	if active || busy[rev] {
		r.tell.Send(stream.Message{Stats: &stream.Stats{
			Namespace:   rev.key.Namespace,
			Revision:    rev.key.Name,
			Concurrency: n.Concurrency,
			Requests:    float64(n.Requests),
			InFlight:    n.InFlight,
		}})
	}
	if active {
		busy[rev] = true
	} else {
		delete(busy, rev)
		r.forget(rev)
	}
	rev.mu.Lock()
	defer rev.mu.Unlock()
	if rev.waiting.Len() > 0 {
		rev.tellHeld()
	}
}

// snapshot is everything the controller has to know when it listens anew.
func (r *roads) snapshot() []stream.Message {
	var all []stream.Message
	for _, rev := range r.all() {
		all = append(all, rev.snapshot()...)
	}
	return all
}

func (r *revision) snapshot() []stream.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []stream.Message
	for _, p := range r.open {
		all = append(all, stream.Message{Pod: r.message(p)})
	}
	for _, p := range r.pods {
		if p.refusal != "" {
			all = append(all, stream.Message{Pod: r.message(p)})
		}
	}
	if n := r.waiting.Len(); n > 0 {
		all = append(all, stream.Message{Held: &stream.Held{Namespace: r.key.Namespace, Revision: r.key.Name, Requests: n}})
	}
	return all
}
