package activator

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// trip is one request on its way. The request's context carries it through
// the reverse proxy.
type trip struct {
	w        http.ResponseWriter
	r        *http.Request // as it came in
	body     *proxy.Body
	road     *road // of its host
	revision *revision
	entered  time.Time // when it came to the revision
	pod      *pod      // nil while it has none
	arrived  time.Time
	waited   bool
	cold     bool // it waited for its pod, and is the pod's first request
	held     time.Duration
	status   int // of the response; 0 while there is none
	cancel   context.CancelCauseFunc
	witness  *proxy.Witness // nil unless the client wants to know
	journey  *journey       // nil unless something is traced
}

type tripKey struct{}

func tripOf(r *http.Request) *trip { return r.Context().Value(tripKey{}).(*trip) }

func (t *trip) enter(r *road, now time.Time) {
	t.road, t.revision, t.entered = r, r.pick(t.r.Header), now
	t.revision.count.Begin(now)
}

func (t *trip) leave() {
	t.alight()
	now := time.Now()
	t.revision.count.End(now)
	t.journey.arrive(t, now)
	t.revision.responses.Observe(t.status, now.Sub(t.arrived))
	if t.waited {
		t.revision.heldFor.Observe(t.held)
	}
}

// alight gives the pod back.
func (t *trip) alight() {
	if t.pod != nil {
		t.revision.release(t.pod)
		t.pod = nil
	}
}

// claim implements passenger.
func (t *trip) claim() (since time.Time, cost int64) { return t.entered, costOf(t.r) }

// waits implements passenger.
func (t *trip) waits(left time.Duration) {
	t.waited = true
	t.body.Fetch(t.w, t.r, left)
}

// wakes implements passenger.
func (t *trip) wakes() { t.cold = true }

// board takes a pod, on another revision if the route moves on meanwhile.
func (t *trip) board(ctx context.Context, roads *roads) error {
	began := time.Now()
	t.cold = false
	for {
		pod, err := t.revision.take(ctx, t)
		if !errors.Is(err, errMoved) {
			t.pod = pod
			now := time.Now()
			t.held += now.Sub(began)
			t.journey.boarded(t, began, now, err)
			return err
		}
		road, ok := roads.find(t.r.Host)
		if !ok {
			return errUnknown
		}
		now := time.Now()
		t.revision.count.End(now)
		t.enter(road, now)
	}
}
