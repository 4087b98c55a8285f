package queue

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

const (
	// termGrace is how long kubelet's SIGTERM to the sidecar may come after
	// the preStop hook of the user container. Without one the container is
	// only being restarted, and nothing drains.
	termGrace = time.Second
	// adminLimit bounds the end of the admin servers, which is the answer to
	// kubelet's hook on its way.
	adminLimit = 5 * time.Second
	// upgradedLimit is how long the container has to end its upgraded
	// connections, from when it is told to go. It is upstream's.
	upgradedLimit = 60 * time.Second
)

// Run is queue-proxy: it serves until ctx ends, drains, and lets the user
// container go last.
func Run(ctx context.Context, c Config, log *slog.Logger) error {
	s, err := newSidecar(c, log)
	if err != nil {
		return err
	}
	drained := make(chan struct{})
	listeners, err := c.listen()
	if err != nil {
		return err
	}

	// What helps requests outlives them: it ends when the last is served.
	after, stop := context.WithCancel(context.WithoutCancel(ctx))
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer stop()
	helpers.Go(func() { s.ready.run(after) })
	if s.tracer != nil {
		helpers.Go(func() { s.tracer.Run(after) })
	}
	for i, h := range []http.Handler{s.admin(drained), metricsMux(s.metrics.autometrics()), metricsMux(s.usermetrics())} {
		helpers.Go(func() {
			server := proxy.Server{Listener: listeners[i], Handler: h, Limit: adminLimit, Log: log}
			if err := server.Serve(after); err != nil {
				log.Error("an admin port is closed", "error", err)
			}
		})
	}

	server := proxy.Server{
		Listener: listeners[servingListener], Also: listeners[entranceListener], Handler: s.handler(), Log: log,
		Drain: &s.drain, Quiet: c.DrainQuiet, Limit: c.drainLimit(),
	}
	err = server.Serve(ctx)
	close(drained)
	s.farewell(after)
	return err
}

// farewell lets the container, which is told to go now, say so on its upgraded
// connections.
func (s *sidecar) farewell(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, upgradedLimit)
	defer cancel()
	if s.drain.WaitUpgraded(ctx) != nil {
		s.log.Warn("upgraded connections are cut that the container has not ended", "limit", upgradedLimit)
	}
}

// drainLimit is the longest that a request in flight can take.
func (c Config) drainLimit() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return drainLimit
}

func (s *sidecar) waiting() int {
	if s.breaker == nil {
		return 0
	}
	return s.breaker.Waiting()
}

// admin serves kubelet's preStop hook of the user container: it is answered
// when the last request is served, so that the container gets its SIGTERM
// only then.
func (s *sidecar) admin(drained <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /wait-for-drain", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-drained:
			return
		case <-r.Context().Done():
			return
		case <-time.After(termGrace):
		}
		if !s.drain.Draining() {
			s.log.Info("the user container is restarted while the pod stays")
			return
		}
		select {
		case <-drained:
		case <-r.Context().Done():
		}
	})
	return mux
}

// usermetrics are those of requests, and of spans where there are any.
func (s *sidecar) usermetrics() http.Handler {
	requests := s.metrics.usermetrics(s.waiting)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.ServeHTTP(w, r)
		s.tracer.WriteMetrics(w, s.metrics.labels)
	})
}

func metricsMux(h http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", h)
	return mux
}
