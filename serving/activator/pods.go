package activator

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

// opened says that p answers: it is given requests from now on.
func (r *revision) opened(p *pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pods[p.uid] != p || p.answers {
		return // it has gone in the meantime
	}
	p.answers, p.refusal = true, ""
	p.reached.listening = time.Now()
	r.open = append(r.open, p)
	r.tellPod(p)
	r.admit()
}

// doubt says that p did not accept a connection, or that kubelet thinks ill
// of it: it is given nothing until it has answered its prober again.
func (r *revision) doubt(p *pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !p.answers {
		return
	}
	r.closed(p)
	select {
	case p.doubts <- struct{}{}:
	default:
	}
}

// wonder has p asked again, and gives it requests until it has answered: what
// its sidecar denied may have been that one request.
func (r *revision) wonder(p *pod) {
	select {
	case p.doubts <- struct{}{}:
	default: // it is asked already
	}
}

// refuses says how p's sidecar refuses the activator; "" is that it does not.
// One that does is given nothing more.
func (r *revision) refuses(p *pod, how stream.Refusal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pods[p.uid] != p || p.refusal == how {
		return
	}
	p.refusal = how
	if p.answers {
		r.closed(p) // tells of both
		return
	}
	r.tellPod(p)
}

// closed takes p from those that answer.
func (r *revision) closed(p *pod) {
	if !p.answers {
		return
	}
	p.answers = false
	open := make([]*pod, 0, len(r.open))
	for _, other := range r.open {
		if other != p {
			open = append(open, other)
		}
	}
	r.open = open
	r.tellPod(p)
}

// tellPod is called with the lock held, so that the controller hears of two
// changes in the order in which they came about.
func (r *revision) tellPod(p *pod) {
	r.tell.Send(stream.Message{Pod: r.message(p)})
}

func (r *revision) message(p *pod) *stream.Pod {
	return &stream.Pod{Namespace: r.key.Namespace, Name: p.name, UID: string(p.uid), Revision: r.key.Name, Answers: p.answers, Refusal: p.refusal}
}

// update makes the revision what the table says. It returns the pods that have
// an address now, and kubelet's word, whose probers the caller starts.
func (r *revision) update(spec revisionSpec) (fresh []*pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spec = spec
	now := time.Now()
	named := make(map[types.UID]bool, len(spec.pods))
	for _, s := range spec.pods {
		named[s.uid] = true
		if p := r.pods[s.uid]; p != nil && p.address == s.address && p.held == s.held {
			r.keep(p, s)
			continue
		}
		p := &pod{podSpec: s, revision: r, doubts: make(chan struct{}, 1), reached: begun(s, now)}
		before := r.pods[s.uid]
		if before != nil { // it has got its address, or another one, or kubelet's word
			r.drop(before)
			p.reached = milestones{decided: before.reached.decided, created: before.reached.created}
		}
		r.pods[s.uid] = p
		switch {
		case before != nil && before.address == s.address:
			p.reached.sandbox = before.reached.sandbox
		case s.address != "":
			p.reached.sandbox = now
		}
		if s.address != "" && !s.held {
			fresh = append(fresh, p)
		}
	}
	for uid, p := range r.pods {
		if !named[uid] {
			r.drop(p)
		}
	}
	r.admit() // the limit may be higher now
	return fresh
}

// keep brings a known pod up to date. Kubelet's "not ready any more" is a
// reason to ask it again.
func (r *revision) keep(p *pod, s podSpec) {
	worse := p.ready && !s.ready
	p.ready = s.ready // all else of a pod is what it was
	if worse && p.answers {
		r.closed(p)
		select {
		case p.doubts <- struct{}{}:
		default:
		}
	}
}

// drop forgets a pod. The requests it has go on; they hold on to it.
func (r *revision) drop(p *pod) {
	r.closed(p)
	delete(r.pods, p.uid)
	if p.stop != nil {
		p.stop()
	}
}
