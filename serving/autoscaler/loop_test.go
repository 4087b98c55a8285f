package autoscaler

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/stream"
)

var key = types.NamespacedName{Namespace: "default", Name: "hello-00001"}

func newRevision(t *testing.T) Revision {
	t.Helper()
	spec, err := DefaultConfig().Spec(nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return Revision{Spec: spec, Reachable: true}
}

// running runs a Loop with an activator until the returned function is
// called. Changed holds the keys it was told, as many as fit.
func running(t *testing.T) (l *Loop, changed chan types.NamespacedName, stop func()) {
	t.Helper()
	changed = make(chan types.NamespacedName, 100)
	l = New(func(key types.NamespacedName) { changed <- key }, slog.New(slog.DiscardHandler))
	l.Receive("a", stream.Message{})
	ctx, cancel := context.WithCancel(t.Context())
	var loop sync.WaitGroup
	loop.Go(func() {
		if err := l.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l, changed, func() { cancel(); loop.Wait() }
}

func wants(t *testing.T, l *Loop, want int32) {
	t.Helper()
	if got, reason := l.Wanted(key); got != want || (want > 0 && reason == "") {
		t.Errorf("it wants %d (%s), want %d", got, reason, want)
	}
}

func held(requests int) stream.Message {
	return stream.Message{Held: &stream.Held{Namespace: key.Namespace, Revision: key.Name, Requests: requests}}
}

func stats(concurrency float64, inFlight int) stream.Message {
	return stream.Message{Stats: &stream.Stats{Namespace: key.Namespace, Revision: key.Name,
		Concurrency: concurrency, InFlight: inFlight}}
}

func TestLoopFromOneToNoneAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, changed, stop := running(t)
		defer stop()
		r := newRevision(t)
		if want, _ := l.Track(key, r); want != 1 {
			t.Errorf("a new revision gets %d pods", want)
		}
		r.Ready, r.Pods = 1, 1
		l.Track(key, r)

		began := time.Now()
		if got := <-changed; got != key {
			t.Errorf("told of %v", got)
		}
		wants(t, l, 0)
		if took := time.Since(began); took < time.Minute || took > time.Minute+2*tick {
			t.Errorf("an idle revision went after %v", took)
		}
		r.Ready, r.Pods = 0, 0
		l.Track(key, r)

		time.Sleep(time.Second) // between two ticks
		began = time.Now()
		l.Receive("a", held(1))
		<-changed
		wants(t, l, 1)
		if took := time.Since(began); took != 0 {
			t.Errorf("a held request waited %v for a decision", took)
		}
	})
}

func TestLoopDecidesAtOnceFromStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, changed, stop := running(t)
		defer stop()
		r := newRevision(t)
		r.Started = true
		if want, _ := l.Track(key, r); want != 0 {
			t.Errorf("an idle revision was started: %d", want)
		}
		l.Receive("a", stats(0.1, 0)) // one quick request
		<-changed
		wants(t, l, 1)
		l.Receive("a", stats(500, 500))
		wants(t, l, 1) // until the tick
		<-changed
		wants(t, l, 4) // of 500 and nearly none, over two seconds, by 70
	})
}

func TestLoopHearsBeforeItKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := running(t)
		defer stop()
		l.Receive("a", held(3))
		wants(t, l, 0)
		r := newRevision(t)
		r.Started = true
		if want, reason := l.Track(key, r); want != 1 {
			t.Errorf("held requests were forgotten: %d, %s", want, reason)
		}
		l.Forget(key)
		if _, ok := l.Decision(key); ok {
			t.Error("it remembers what it should forget")
		}
		// What nobody tracks does not stay.
		l.Receive("a", held(3))
		l.Receive("a", stats(0, 0))
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(l.revisions); n != 0 {
			t.Errorf("%d revisions that nobody tracks", n)
		}
	})
}

func TestLoopUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, changed, stop := running(t)
		defer stop()
		r := newRevision(t)
		r.Started, r.Ready, r.Pods = true, 1, 1
		l.Track(key, r)
		l.Receive("a", stats(1, 1))
		r.Reachable = false
		if want, _ := l.Track(key, r); want != 1 {
			t.Errorf("with a request in flight: %d", want)
		}
		l.Receive("a", stats(0, 0))
		<-changed
		wants(t, l, 0)
	})
}

// TestLoopActivatorDies has an activator go without saying that its requests
// have ended, once with its stream and once silently.
func TestLoopActivatorDies(t *testing.T) {
	for name, die := range map[string]func(*Loop){
		"the stream ends": func(l *Loop) { l.Gone("a"); l.Receive("b", stream.Message{}) },
		"it falls silent": func(*Loop) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, changed, stop := running(t)
				defer stop()
				r := newRevision(t)
				r.Started, r.Reachable = true, false
				l.Receive("a", stats(1, 1))
				if want, _ := l.Track(key, r); want != 0 {
					// it has no pods, and a request in flight
					r.Ready, r.Pods = want, want
					l.Track(key, r)
				}
				die(l)
				began := time.Now()
				<-changed
				wants(t, l, 0)
				if took := time.Since(began); took > forgetAfter+tick {
					t.Errorf("requests of a dead activator counted for %v", took)
				}
			})
		})
	}
}

func TestLoopKeepsWhileNobodyCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _, stop := running(t)
		defer stop()
		r := newRevision(t)
		r.Started, r.Ready, r.Pods = true, 3, 3
		l.Gone("a")
		l.Track(key, r)
		time.Sleep(time.Hour)
		wants(t, l, 3)
		l.Receive("b", stream.Message{})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		wants(t, l, 1) // halved; the pods here do not follow
	})
}

// TestLoopFromAnywhere is for the race detector.
func TestLoopFromAnywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(func(types.NamespacedName) {}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r := newRevision(t)
		var callers sync.WaitGroup
		callers.Go(func() { _ = l.Run(ctx) })
		for range 4 {
			callers.Go(func() {
				for ctx.Err() == nil {
					l.Receive("a", held(rand.IntN(3)))
					l.Receive("b", stats(rand.Float64(), rand.IntN(3)))
					l.Track(key, r)
					l.Wanted(key)
					l.Decision(key)
					l.Gone("b")
					l.Forget(key)
					time.Sleep(time.Second)
				}
			})
		}
		callers.Wait()
	})
}
