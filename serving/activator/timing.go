package activator

import (
	"fmt"
	"strings"
	"time"
)

// milestones are when a pod got how far, in the order in which a pod gets
// there; zero where that is not known. All but the first are when the
// activator saw it, so they have one clock, and say what a request waited for.
type milestones struct {
	decided   time.Time // the controller decided to make it: its word, by its clock
	created   time.Time // the API server has it
	sandbox   time.Time // it has an address
	started   time.Time // queue-proxy takes connections
	listening time.Time // it answers: the user container takes requests
}

// begun are the milestones of a pod that is seen for the first time.
func begun(s podSpec, now time.Time) milestones {
	m := milestones{created: now}
	if !s.decided.After(now) { // else the two clocks differ, and it says nothing
		m.decided = s.decided
	}
	return m
}

// connected says that p's queue-proxy has taken a connection.
func (r *revision) connected(p *pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.reached.started.IsZero() {
		p.reached.started = time.Now()
	}
}

// milestones returns how far p has got.
func (r *revision) milestones(p *pod) milestones {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.reached
}

// step is one step of a pod, and how long it took.
type step struct {
	name string
	took time.Duration
}

// steps are what the pod did while the request waited, of one whose response
// begins now. Each step lasted since the one before it, the first since the
// request came. What the pod had done before that, and what is not known, is
// left out.
func (t *trip) steps(now time.Time) []step {
	var steps []step
	m, last := t.revision.milestones(t.pod), t.arrived
	for _, s := range [...]struct {
		name string
		at   time.Time
	}{
		{"decided", m.decided}, {"created", m.created}, {"sandbox", m.sandbox}, {"started", m.started}, {"listening", m.listening},
	} {
		if s.at.Before(last) || s.at.After(now) {
			continue
		}
		steps = append(steps, step{s.name, s.at.Sub(last)})
		last = s.at
	}
	return steps
}

// timing is a Server-Timing header's value for a request whose response begins
// now: how long it waited for a pod, what the pod did meanwhile, and how long
// the pod then took.
func (t *trip) timing(now time.Time) string {
	var b strings.Builder
	write := func(name string, took time.Duration) {
		fmt.Fprintf(&b, "%s;dur=%.2f, ", name, float64(took)/float64(time.Millisecond))
	}
	write("held", t.held)
	for _, s := range t.steps(now) {
		write(s.name, s.took)
	}
	write("pod", now.Sub(t.arrived)-t.held)
	return strings.TrimSuffix(b.String(), ", ") + fmt.Sprintf(";desc=%q", t.pod.name)
}
