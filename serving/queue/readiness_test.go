package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// container is a user container in synctest's time.
type container struct {
	up    atomic.Bool
	asked atomic.Int64
}

var errDown = errors.New("down")

func (c *container) check(context.Context) error {
	c.asked.Add(1)
	if !c.up.Load() {
		return errDown
	}
	return nil
}

// watch runs a readiness over the container and returns what it says now.
func (c *container) watch(t *testing.T, p Probe) (r *readiness, ready func() error) {
	r = newReadiness(c.check, p, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	now, cancel := context.WithCancel(t.Context())
	cancel()
	return r, func() error {
		synctest.Wait()
		return r.wait(now)
	}
}

func TestReadyWithinMilliseconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c container
		r, ready := c.watch(t, Probe{})
		if err := ready(); !errors.Is(err, errDown) {
			t.Errorf("got %v", err)
		}
		time.Sleep(295 * time.Millisecond)
		c.up.Store(true)
		began := time.Now()
		if err := r.wait(t.Context()); err != nil { // the answer comes by itself
			t.Error(err)
		}
		if took := time.Since(began); took > 10*time.Millisecond {
			t.Errorf("noticed after %s", took)
		}
	})
}

func TestAskingCostsLessTheLongerItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c container
		_, ready := c.watch(t, Probe{})
		time.Sleep(10 * time.Minute)
		_ = ready()
		if n := c.asked.Load(); n > 3000 {
			t.Errorf("asked %d times in 10 minutes", n)
		}
	})
}

func TestInitialDelayAndThresholds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c container
		c.up.Store(true)
		_, ready := c.watch(t, Probe{InitialDelaySeconds: 5, SuccessThreshold: 3, FailureThreshold: 2, PeriodSeconds: 4})
		time.Sleep(5*time.Second - time.Millisecond)
		if err := ready(); !errors.Is(err, errNotAsked) {
			t.Errorf("before the initial delay: %v", err)
		}
		time.Sleep(time.Second)
		if err := ready(); err != nil {
			t.Errorf("after three successes: %v", err)
		}
		c.up.Store(false)
		time.Sleep(4 * time.Second)
		if err := ready(); err != nil {
			t.Errorf("after one failure: %v", err)
		}
		time.Sleep(4 * time.Second)
		if err := ready(); !errors.Is(err, errDown) {
			t.Errorf("after two failures: %v", err)
		}
		c.up.Store(true)
		time.Sleep(100 * time.Millisecond)
		if err := ready(); err != nil {
			t.Errorf("back again: %v", err)
		}
	})
}

func TestClosedPortIsNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c container
		c.up.Store(true)
		r, ready := c.watch(t, Probe{})
		if err := ready(); err != nil {
			t.Fatal(err)
		}
		c.up.Store(false)
		r.refused()
		if err := ready(); err == nil {
			t.Error("still ready")
		}
		c.up.Store(true)
		time.Sleep(10 * time.Millisecond)
		if err := ready(); err != nil {
			t.Errorf("back again: %v", err)
		}
	})
}

// A program may listen and end in the same moment.
func TestProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c container
		c.up.Store(true)
		r, ready := c.watch(t, Probe{})
		if err := ready(); err != nil {
			t.Fatal(err)
		}
		if err := r.prove(t.Context()); err != nil {
			t.Errorf("one that stays: %v", err)
		}
		time.AfterFunc(proof/2, func() { c.up.Store(false) })
		if err := r.prove(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("one that ends: %v", err)
		}
		if err := ready(); !errors.Is(err, errDown) {
			t.Errorf("afterwards: %v", err)
		}
	})
}
