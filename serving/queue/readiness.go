package queue

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// readiness knows whether the user container takes requests. Until it first
// does, it is asked every few milliseconds, because somebody waits for it;
// after that in the period of its probe.
//
//	          success                  failures in a row
//	asking --------------> ready --------------------------> asking
//	                        |  a request finds the port closed
//	                        +--------------------------------> asking
type readiness struct {
	check check
	probe Probe
	log   *slog.Logger
	lost  chan struct{} // holds a token when a request found the port closed

	mu    sync.Mutex
	ready chan struct{} // closed while the container is ready
	why   error         // why it is not
}

var errNotAsked = errors.New("the container has not been asked yet")

func newReadiness(check check, probe Probe, log *slog.Logger) *readiness {
	return &readiness{
		check: check, probe: probe, log: log,
		lost:  make(chan struct{}, 1),
		ready: make(chan struct{}),
		why:   errNotAsked,
	}
}

// run asks the container until ctx ends.
func (r *readiness) run(ctx context.Context) {
	if !proxy.Sleep(ctx, time.Duration(r.probe.InitialDelaySeconds)*time.Second) {
		return
	}
	for r.untilReady(ctx) {
		r.set(nil)
		why := r.whileReady(ctx)
		if ctx.Err() != nil {
			return
		}
		r.log.Warn("the user container takes no requests", "error", why)
		r.set(why)
	}
}

// untilReady asks until the container is ready; it returns false when ctx
// ended first.
func (r *readiness) untilReady(ctx context.Context) bool {
	began := time.Now()
	for successes := 0; ; {
		err := r.ask(ctx)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			if successes++; successes >= r.probe.successes() {
				r.log.Info("the user container is ready", "after", time.Since(began))
				return true
			}
		} else {
			successes = 0
			r.set(err)
		}
		if !proxy.Sleep(ctx, proxy.ProbeAfter(time.Since(began))) {
			return false
		}
	}
}

// whileReady asks in the probe's period and returns why the container is not
// ready any more.
func (r *readiness) whileReady(ctx context.Context) error {
	period := time.NewTicker(r.probe.period())
	defer period.Stop()
	for failures := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.lost:
			return errors.New("a request found its port closed")
		case <-period.C:
		}
		err := r.ask(ctx)
		if err == nil {
			failures = 0
			continue
		}
		if failures++; failures >= r.probe.failures() {
			return err
		}
	}
}

func (r *readiness) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.probe.timeout())
	defer cancel()
	return r.check(ctx)
}

// set says that the container is ready (nil) or why it is not.
func (r *readiness) set(why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.why == nil
	r.why = why
	switch {
	case why == nil && !was:
		select { // a token from the time before is out of date
		case <-r.lost:
		default:
		}
		close(r.ready)
	case why != nil && was:
		r.ready = make(chan struct{})
	}
}

// refused says that a request found the container's port closed.
func (r *readiness) refused() {
	select {
	case r.lost <- struct{}{}:
	default:
	}
}

// wait returns nil when the container is ready or becomes so before ctx ends,
// and else why it is not.
func (r *readiness) wait(ctx context.Context) error {
	r.mu.Lock()
	ready := r.ready
	r.mu.Unlock()
	select {
	case <-ready:
		return nil
	default:
	}
	select {
	case <-ready:
		return nil
	case <-ctx.Done():
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.why
	}
}

// proof is how long a container is to have taken requests whose program may
// listen and end in the same moment.
const proof = 10 * time.Millisecond

// prove asks a container that is ready whether it still is, a moment later. It
// returns nil, or why it is not.
func (r *readiness) prove(ctx context.Context) error {
	if !proxy.Sleep(ctx, proof) {
		return context.Cause(ctx)
	}
	err := r.ask(ctx)
	if err != nil {
		r.refused()
	}
	return err
}
