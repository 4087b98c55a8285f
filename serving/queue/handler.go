package queue

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"syscall"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

const (
	// queueFactor is how many requests may wait for each one that may run.
	queueFactor = 10
	// probeHold is how long a probe waits for a container that is not ready
	// yet, so that the answer comes the moment it is. It stays below the
	// activator's patience of 300 ms.
	probeHold = 200 * time.Millisecond

	dialTimeout = 10 * time.Second
	// keepIdle is shorter than any server in use keeps a connection. Who
	// closes an idle connection first can lose no request to it, and a new
	// one inside the pod costs microseconds.
	keepIdle = time.Second
)

// sidecar is the state that requests share.
type sidecar struct {
	config   Config
	log      *slog.Logger
	ready    *readiness
	drain    proxy.Drain
	breaker  *proxy.Breaker // nil without a limit
	metrics  *metrics
	requests *requestLog
	tracer   *trace.Tracer // nil where nothing is traced
}

func newSidecar(c Config, log *slog.Logger) (*sidecar, error) {
	check, err := checkFor(c.Probe, c.UserAddress)
	if err != nil {
		return nil, err
	}
	s := &sidecar{
		config:   c,
		log:      log,
		ready:    newReadiness(check, c.Probe, log),
		metrics:  newMetrics(c),
		requests: newRequestLog(c, log),
	}
	s.tracer = s.newTracer()
	if c.Concurrency > 0 {
		s.breaker = proxy.NewBreaker(c.Concurrency, queueFactor*c.Concurrency)
	}
	return s, nil
}

// handler is the way of a request through the sidecar, outermost first:
//
//  1. the request log tells of whatever was answered, if it is asked for;
//  2. probes are answered before anything counts them as requests, or a pod
//     that kubelet probes would never be quiet;
//  3. the drain sees every request, also those refused further in;
//  4. metrics and limits of time enclose the queue: a request that waits too
//     long for its turn is late like any other;
//  5. the queue is innermost, so that what it lets through is what the
//     container has in hand.
func (s *sidecar) handler() http.Handler {
	h := s.queued(s.inContainer(s.toContainer()))
	h = s.measured(h)
	h = s.drain.Handler(h)
	h = s.probed(h)
	return s.requests.handler(h)
}

// probed answers K-Network-Probe.
func (s *sidecar) probed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch probe := r.Header[proxy.NetworkProbe]; {
		case probe == nil:
			next.ServeHTTP(w, r)
		case probe[0] != proxy.Queue:
			http.Error(w, "this is queue-proxy, not "+probe[0], http.StatusBadRequest)
		case s.drain.Draining():
			http.Error(w, "the pod is leaving", http.StatusServiceUnavailable)
		default:
			s.answer(w, r)
		}
	})
}

func (s *sidecar) answer(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), probeHold)
	defer cancel()
	why := s.ready.wait(ctx)
	if why == nil && r.Header[proxy.Prove] != nil {
		why = s.ready.prove(ctx)
	}
	if why != nil {
		http.Error(w, "the user container is not ready: "+why.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte(proxy.Queue)) // a prober that has gone asks again
}

// measured counts the request and bounds its time.
func (s *sidecar) measured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy.FullDuplex(w, r)
		began := time.Now()
		s.metrics.count.Begin(began)
		res, r := newResponse(w, r, &s.config)
		account, r := s.account(r, began)
		defer func() {
			res.done()
			ended := time.Now()
			s.close(account, r, res.status, ended)
			s.metrics.count.End(ended)
			s.metrics.responses.Observe(res.status, ended.Sub(began))
		}()
		next.ServeHTTP(res, r)
	})
}

// queued gives the container no more requests than it asked for.
func (s *sidecar) queued(next http.Handler) http.Handler {
	if s.breaker == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := s.enter(r); err != nil {
			s.fail(w, r, err)
			return
		}
		defer s.breaker.Leave()
		next.ServeHTTP(w, r)
	})
}

// inContainer counts the requests that the container is given.
func (s *sidecar) inContainer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		defer func() { s.metrics.app.Observe(w.(*response).status, time.Since(began)) }()
		next.ServeHTTP(w, r)
	})
}

// toContainer forwards to the user container.
func (s *sidecar) toContainer() http.Handler {
	transport := proxy.NewTransport(proxy.TransportConfig{H2C: s.config.UserH2C, Dial: dialTimeout, Idle: keepIdle})
	reverse := proxy.New(proxy.Once(transport), s.log, func(r *httputil.ProxyRequest) {
		r.Out.URL.Host = s.config.UserAddress
		if s.config.UserH2C {
			proxy.NoUpgrade(r.Out.Header)
		}
		proxy.StripInternal(r.Out.Header)
		delete(r.Out.Header, proxy.Trace)
		delete(r.Out.Header, proxy.Timing)
		delete(r.Out.Header, proxy.AskRevision)
		proxy.AddForwarded(r.Out.Header)
		accountOf(r.In).inject(r.Out.Header)
	})
	reverse.ModifyResponse = func(r *http.Response) error {
		delete(r.Header, proxy.Refused) // not the container's to say
		delete(r.Header, proxy.HopReport)
		if a := accountOf(r.Request); a != nil {
			a.witness.Answered(r)
			s.tell(a, r.Header)
		}
		return nil
	}
	reverse.ErrorHandler = s.fail
	return reverse
}

// fail answers a request that has no response from the container.
func (s *sidecar) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.tell(accountOf(r), w.Header())
	var unsent *proxy.UnsentError
	switch {
	case errors.Is(context.Cause(r.Context()), errTimeout):
		http.Error(w, errTimeout.Error(), http.StatusGatewayTimeout)
	case errors.Is(err, proxy.ErrFull):
		w.Header().Set("Retry-After", "1")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case r.Context().Err() != nil:
		w.WriteHeader(proxy.ClientGone) // to nobody
	case errors.As(err, &unsent) && errors.Is(err, syscall.ECONNREFUSED):
		// The container has crashed, or restarts. It has seen nothing, so
		// the activator may try again elsewhere.
		s.ready.refused()
		w.Header().Set(proxy.Refused, "user-container")
		http.Error(w, "the user container does not listen on "+s.config.UserAddress, http.StatusServiceUnavailable)
	default:
		s.log.Warn("the user container gave no answer", "method", r.Method, "path", r.URL.Path, "error", err)
		http.Error(w, "the user container gave no answer: "+err.Error(), http.StatusBadGateway)
	}
}
