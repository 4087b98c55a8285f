package activator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// heard is a teller that writes down what it is told.
type heard struct {
	mu    sync.Mutex
	lines []string
}

func (h *heard) Send(m stream.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case m.Held != nil:
		h.lines = append(h.lines, fmt.Sprintf("held %s %d", m.Held.Revision, m.Held.Requests))
	case m.Pod != nil:
		h.lines = append(h.lines, strings.TrimSpace(fmt.Sprintf("pod %s %t %s", m.Pod.Name, m.Pod.Answers, m.Pod.Refusal)))
	case m.Takes != nil:
		h.lines = append(h.lines, fmt.Sprintf("takes clear=%t tls=%t", m.Takes.Clear, m.Takes.TLS))
	case m.Stats != nil:
		h.lines = append(h.lines, fmt.Sprintf("stats %s concurrency=%.2f requests=%.0f inFlight=%d",
			m.Stats.Revision, m.Stats.Concurrency, m.Stats.Requests, m.Stats.InFlight))
	}
}

// take returns what was said since it was last called.
func (h *heard) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	lines := h.lines
	h.lines = nil
	return lines
}

func (h *heard) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := h.take(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the controller heard %q, want %q", got, want)
	}
}

// rider is a passenger that weighs nothing.
type rider time.Time

func (r rider) claim() (time.Time, int64) { return time.Time(r), 0 }
func (rider) waits(time.Duration)         {}
func (rider) wakes()                      {}

func riderNow() rider { return rider(time.Now()) }

// newRevision is a routed revision with pods that do not answer yet.
func newRevision(limit int, pods ...string) (*revision, *heard, []*pod) {
	h := &heard{}
	r := &revision{key: types.NamespacedName{Namespace: "default", Name: "r"}, tell: h, room: newRoom(0), pods: make(map[types.UID]*pod), routed: true}
	spec := revisionSpec{limit: limit, timeout: 10 * time.Second}
	for _, name := range pods {
		spec.pods = append(spec.pods, podSpec{name: name, uid: types.UID(name), address: name})
	}
	return r, h, r.update(spec)
}

// taken is what became of a request.
type taken struct {
	pod *pod
	err error
	end time.Duration
}

// takeInBackground returns what has become of a request so far.
func takeInBackground(ctx context.Context, r *revision) func() taken {
	var result atomic.Pointer[taken]
	result.Store(&taken{})
	began := time.Now()
	go func() {
		p, err := r.take(ctx, riderNow())
		result.Store(&taken{p, err, time.Since(began)})
	}()
	synctest.Wait()
	return func() taken {
		synctest.Wait()
		return *result.Load()
	}
}

func TestHoldUntilAPodAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, told, pods := newRevision(0, "p")
		one := takeInBackground(t.Context(), r)
		told.expect(t, "held r 1")
		two := takeInBackground(t.Context(), r)
		told.expect(t) // the first word is enough

		time.Sleep(3 * time.Second)
		r.opened(pods[0])
		told.expect(t, "pod p true")
		for _, request := range []func() taken{one, two} {
			if w := request(); w.pod != pods[0] || w.err != nil || w.end != 3*time.Second {
				t.Errorf("got %+v", w)
			}
		}
	})
}

func TestHoldEndsWithTheRevisionsTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, pods := newRevision(0, "p")
		request := takeInBackground(t.Context(), r)
		time.Sleep(time.Minute)
		if w := request(); !errors.Is(w.err, errHeldTooLong) || w.end != 10*time.Second {
			t.Errorf("got %v after %s", w.err, w.end)
		}
		r.opened(pods[0])
		if pods[0].inFlight != 0 {
			t.Error("a request that has gone still has its place")
		}
	})
}

func TestHeldRequestIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := newRevision(0)
		ctx, cancel := context.WithCancel(t.Context())
		request := takeInBackground(ctx, r)
		cancel()
		if w := request(); !errors.Is(w.err, context.Canceled) || r.waiting.Len() != 0 {
			t.Errorf("got %v with %d waiting", w.err, r.waiting.Len())
		}
	})
}

func TestLimitServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, told, pods := newRevision(1, "p")
		r.opened(pods[0])
		told.take()
		running := takeInBackground(t.Context(), r)
		var waiting []func() taken
		for range 3 {
			waiting = append(waiting, takeInBackground(t.Context(), r))
		}
		told.expect(t) // there is a pod: nothing to start in a hurry
		if pods[0].inFlight != 1 {
			t.Fatalf("a pod of limit 1 has %d", pods[0].inFlight)
		}
		r.release(running().pod)
		for i, w := range waiting {
			for j, other := range waiting {
				if served := other().pod != nil; served != (j <= i) {
					t.Fatalf("after %d releases, request %d: served=%t", i+1, j, served)
				}
			}
			if pods[0].inFlight != 1 {
				t.Fatalf("a pod of limit 1 has %d", pods[0].inFlight)
			}
			r.release(w().pod)
		}
		if pods[0].inFlight != 0 {
			t.Errorf("%d are left in flight", pods[0].inFlight)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := newRevision(0)
		ctx, cancel := context.WithCancel(t.Context())
		for range maxHeld {
			go func() { _, _ = r.take(ctx, riderNow()) }()
		}
		synctest.Wait()
		if _, err := r.take(ctx, riderNow()); !errors.Is(err, proxy.ErrFull) {
			t.Errorf("got %v", err)
		}
		cancel()
		synctest.Wait()
		if n := r.waiting.Len(); n != 0 {
			t.Errorf("%d are left waiting", n)
		}
	})
}

func TestRouteMovesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := newRevision(0)
		held := takeInBackground(t.Context(), r)
		r.route(false)
		late := takeInBackground(t.Context(), r) // it had looked before the route moved
		for _, request := range []func() taken{held, late} {
			if w := request(); !errors.Is(w.err, errMoved) {
				t.Errorf("got %+v", w)
			}
		}
	})
}

func TestPodComesAndGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, told, pods := newRevision(0, "p", "q")
		r.opened(pods[0])
		r.opened(pods[1])
		told.expect(t, "pod p true", "pod q true")

		inFlight, err := r.take(t.Context(), riderNow())
		if err != nil {
			t.Fatal(err)
		}
		r.doubt(pods[0])
		r.doubt(pods[0])
		told.expect(t, "pod p false")
		if len(pods[0].doubts) != 1 {
			t.Error("the prober is not asked to look")
		}
		r.update(revisionSpec{timeout: time.Second})
		told.expect(t, "pod q false")
		r.opened(pods[1]) // its prober answers late
		told.expect(t)
		held := takeInBackground(t.Context(), r)
		r.release(inFlight) // by a pod that has gone
		if held().pod != nil {
			t.Error("a pod that has gone was given a request")
		}
		time.Sleep(time.Minute)
	})
}

func TestNotReadyAnyMoreIsAskedAgain(t *testing.T) {
	r, told, pods := newRevision(0, "p")
	spec := r.spec
	set := func(ready bool) {
		spec.pods = []podSpec{{name: "p", uid: "p", address: "p", ready: ready}}
		r.update(spec)
	}
	set(false)
	r.opened(pods[0]) // we know before kubelet does
	set(true)
	told.expect(t, "pod p true")
	set(false)
	told.expect(t, "pod p false")
	if len(pods[0].doubts) != 1 {
		t.Error("the prober is not asked to look")
	}
}

func TestReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := &heard{}
		roads := newRoads(told, newRoom(0), func(context.Context, *pod) {})
		roads.apply(t.Context(), &table{revisions: map[types.NamespacedName]revisionSpec{{Namespace: "default", Name: "r"}: {timeout: time.Minute}}})
		rev := roads.all()[types.NamespacedName{Namespace: "default", Name: "r"}]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go roads.report(ctx)
		synctest.Wait()

		wait := func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		}
		rev.count.Report(time.Now())
		time.Sleep(500 * time.Millisecond)
		rev.count.Begin(time.Now())
		rev.count.Begin(time.Now())
		wait(time.Second)
		told.expect(t, "stats r concurrency=1.00 requests=2 inFlight=2")
		wait(time.Second)
		told.expect(t, "stats r concurrency=2.00 requests=0 inFlight=2")
		rev.count.End(time.Now())
		rev.count.End(time.Now())
		wait(time.Second)
		told.expect(t, "stats r concurrency=1.00 requests=0 inFlight=0")
		wait(3 * time.Second)
		told.expect(t, "stats r concurrency=0.00 requests=0 inFlight=0") // once

		roads.apply(t.Context(), build(objects{}))
		wait(2 * time.Second)
		if n := len(roads.all()); n != 0 {
			t.Errorf("%d revisions are remembered that nothing names", n)
		}
	})
}
