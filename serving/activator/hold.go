package activator

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// maxHeld is how many requests may wait for one revision.
const maxHeld = 10_000

var (
	// errMoved says that the revision takes no traffic any more: the request
	// is to look at the table again.
	errMoved = errors.New("the route has moved on")
	// errHeldTooLong says that no pod took the request in the revision's time.
	errHeldTooLong = errors.New("no pod took the request in time")
)

// teller takes messages for the controller; stream.Client is one. Send must
// not block.
type teller interface{ Send(stream.Message) }

// revision is the live side of a revision: its pods, and the requests that
// wait for one. It outlives any one table, and ends when nothing names it and
// nothing is in flight.
type revision struct {
	key   types.NamespacedName
	tell  teller
	room  *room
	count proxy.Counter // requests in flight, held ones included

	namespace, name []string // of key, as values of headers, which nobody changes

	responses proxy.Responses
	heldFor   proxy.Histogram // of those that had to wait
	colds     coldStarts

	named bool // the table names it; guarded by roads

	mu      sync.Mutex
	spec    revisionSpec
	routed  bool // the table gives it traffic
	pods    map[types.UID]*pod
	open    []*pod // those that answer, in the order in which they began to
	turn    int    // round robin's position in open
	waiting list.List
}

// pod is one pod and the requests it has. What can change of it is guarded by
// its revision's lock.
type pod struct {
	podSpec
	revision *revision

	inFlight int
	used     bool // it has been given a request
	answers  bool
	refusal  stream.Refusal // why it does not, where its sidecar is the reason
	reached  milestones
	doubts   chan struct{} // holds a token when a request was refused
	stop     func()        // ends its prober
}

// passenger is a request that wants a pod.
type passenger interface {
	// claim is when it came to the revision, and what it takes of the room
	// when it has to wait.
	claim() (since time.Time, cost int64)
	// waits is called when it does wait, for at most left.
	waits(left time.Duration)
	// wakes is called when it waited for a pod that has had no request before.
	wakes()
}

// waiter is a request that waits. It is sent its pod, or nil to say that it
// has to look at the table again.
type waiter struct {
	pod   chan *pod
	first bool // its pod has had no request before
	until time.Time
	cost  int64
	place *list.Element
}

// take returns a pod that has room, with the request counted on it. While
// there is none it waits, first come first served, until the revision's time
// is over.
func (r *revision) take(ctx context.Context, p passenger) (*pod, error) {
	r.mu.Lock()
	if r.waiting.Len() == 0 {
		if pod := choose(r.open, r.spec.limit, &r.turn); pod != nil {
			pod.inFlight++
			pod.used = true
			r.mu.Unlock()
			return pod, nil
		}
	}
	w, err := r.queue(p)
	r.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer r.room.leave(w.cost)
	p.waits(time.Until(w.until))
	pod, err := r.wait(ctx, w)
	if err == nil && w.first {
		p.wakes()
	}
	return pod, err
}

// queue lets a request wait, if there is room.
func (r *revision) queue(p passenger) (*waiter, error) {
	if !r.routed {
		return nil, errMoved
	}
	if r.waiting.Len() >= maxHeld {
		return nil, proxy.ErrFull
	}
	since, cost := p.claim()
	w := &waiter{pod: make(chan *pod, 1), until: since.Add(r.spec.timeout), cost: cost}
	if err := r.room.enter(w.cost); err != nil {
		return nil, err
	}
	w.place = r.waiting.PushBack(w)
	if r.waiting.Len() == 1 && len(r.open) == 0 {
		r.tellHeld() // somebody has to start a pod: every millisecond counts
	}
	return w, nil
}

func (r *revision) wait(ctx context.Context, w *waiter) (*pod, error) {
	timer := time.NewTimer(time.Until(w.until))
	defer timer.Stop()
	var err error
	select {
	case p := <-w.pod:
		if p == nil {
			return nil, errMoved
		}
		return p, nil
	case <-ctx.Done():
		err = context.Cause(ctx)
	case <-timer.C:
		err = errHeldTooLong
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case p := <-w.pod: // it was this request's turn in the same moment
		if p != nil {
			p.used = p.used && !w.first
			r.giveBack(p)
		}
	default:
		r.waiting.Remove(w.place)
	}
	return nil, err
}

// manner is how the revision's pods are spoken to.
func (r *revision) manner() (timeout time.Duration, h2c bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spec.timeout, r.spec.h2c
}

// proven says whether the revision has been ready.
func (r *revision) proven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.spec.proven
}

// release says that a request is over.
func (r *revision) release(p *pod) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.giveBack(p)
}

// giveBack frees a request's place on p and gives it to whoever waits.
func (r *revision) giveBack(p *pod) {
	p.inFlight--
	r.admit()
}

// admit lets requests go, in their order, as long as there are pods for them.
func (r *revision) admit() {
	for r.waiting.Len() > 0 {
		p := choose(r.open, r.spec.limit, &r.turn)
		if p == nil {
			return
		}
		p.inFlight++
		w := r.waiting.Remove(r.waiting.Front()).(*waiter)
		w.first, p.used = !p.used, true
		w.pod <- p
	}
}

// tellHeld says how many requests wait.
func (r *revision) tellHeld() {
	r.tell.Send(stream.Message{Held: &stream.Held{Namespace: r.key.Namespace, Revision: r.key.Name, Requests: r.waiting.Len()}})
}

// route says whether the table gives the revision traffic. When it ceases
// to, the requests that wait are sent to look at the table again.
func (r *revision) route(routed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.routed = routed
	if routed {
		return
	}
	for r.waiting.Len() > 0 {
		r.waiting.Remove(r.waiting.Front()).(*waiter).pod <- nil
	}
}
