package node

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	httpprobe "k8s.io/kubernetes/pkg/probe/http"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// health is what the node asks of one life of a container.
//
//	postStart --> startup --> liveness   ---failed--> sick
//	                     `--> readiness  --> ready, or not
type health struct {
	sick  chan string   // why the container is to be started again
	grace time.Duration // which it then has to end
	asks  sync.WaitGroup
}

// startHealth begins to ask until ctx ends.
func (c *container) startHealth(ctx context.Context, process *runner.Process) *health {
	h := &health{sick: make(chan string, 1), grace: gracePeriod(&c.pod.object.Spec)}
	for _, p := range []*corev1.Probe{c.spec.LivenessProbe, c.spec.StartupProbe} {
		if p != nil && p.TerminationGracePeriodSeconds != nil {
			h.grace = time.Duration(*p.TerminationGracePeriodSeconds) * time.Second
		}
	}
	h.asks.Go(func() {
		if !c.postStart(ctx, h) || !c.askStartup(ctx, h) {
			return
		}
		h.asks.Go(func() { c.askLiveness(ctx, h) })
		h.asks.Go(func() { c.askReadiness(ctx) })
	})
	if port := listensOn(c.spec); port != 0 {
		h.asks.Go(func() { c.checkListening(ctx, process, port) })
	}
	return h
}

func (h *health) wait() { h.asks.Wait() }

// fail has the container started again. The first reason is enough.
func (h *health) fail(why string) {
	select {
	case h.sick <- why:
	default:
	}
}

// askStartup returns whether the container has started up.
func (c *container) askStartup(ctx context.Context, h *health) (up bool) {
	if c.spec.StartupProbe == nil {
		return true
	}
	s := c.series(c.spec.StartupProbe, "Startup")
	s.eager = true
	s.turns = func(ok bool) bool {
		if up = ok; !ok {
			h.fail("failed startup probe")
			return false
		}
		c.update(func(s *corev1.ContainerStatus) {
			s.Started = new(true)
			s.Ready = c.spec.ReadinessProbe == nil
		})
		c.up.give()
		return false
	}
	s.run(ctx)
	return up
}

func (c *container) askLiveness(ctx context.Context, h *health) {
	if c.spec.LivenessProbe == nil {
		return
	}
	s := c.series(c.spec.LivenessProbe, "Liveness")
	s.delay = s.period() // it has only just started
	s.turns = func(ok bool) bool {
		if !ok {
			h.fail("failed liveness probe")
		}
		return ok
	}
	s.run(ctx)
}

func (c *container) askReadiness(ctx context.Context) {
	if c.spec.ReadinessProbe == nil {
		return
	}
	s := c.series(c.spec.ReadinessProbe, "Readiness")
	s.eager = true
	ready := false
	s.turns = func(ok bool) bool {
		if ok != ready {
			ready = ok
			c.update(func(s *corev1.ContainerStatus) { s.Ready = ok })
		}
		return true
	}
	s.run(ctx)
}

func (c *container) series(p *corev1.Probe, kind string) series {
	return series{
		probe: p,
		ask: func(ctx context.Context) (bool, string) {
			return c.pod.node.prober.ask(ctx, c.spec, p, c.pod.place.address.String())
		},
		fails: func(why string) { c.warn(reasonUnhealthy, "%s", unhealthy(kind, why)) },
	}
}

// postStart runs the container's hook, and returns whether to go on.
func (c *container) postStart(ctx context.Context, h *health) bool {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PostStart == nil {
		return true
	}
	if err := c.hook(ctx, c.spec.Lifecycle.PostStart); err != nil {
		c.warn(reasonFailedPostHook, "PostStartHook failed: %s", err)
		h.fail("failed postStart hook")
		return false
	}
	return true
}

// preStop runs the container's hook, until limit or the process is done. The
// container ends whatever comes of it.
func (c *container) preStop(limit context.Context, process *runner.Process) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	ctx, cancel := context.WithCancel(limit)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = c.hook(ctx, c.spec.Lifecycle.PreStop)
	}()
	select {
	case <-done:
	case <-process.Done():
		cancel()
		<-done
		return
	}
	if err != nil {
		c.warn(reasonFailedPreStop, "PreStopHook failed: %s", err)
	}
}

// hook does what h says.
func (c *container) hook(ctx context.Context, h *corev1.LifecycleHandler) error {
	switch {
	case h.Sleep != nil:
		proxy.Sleep(ctx, time.Duration(h.Sleep.Seconds)*time.Second)
		return ctx.Err()
	case h.HTTPGet == nil:
		return nil
	}
	request, err := httpprobe.NewRequestForHTTPGetAction(h.HTTPGet, c.spec, c.pod.place.address.String(), "lifecycle")
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.Proxy = nil
	transport.DialContext = c.pod.node.prober.dial
	response, err := (&http.Client{Transport: transport}).Do(request.WithContext(ctx))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s answered %s", request.URL, response.Status)
	}
	return nil
}
