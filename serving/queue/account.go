package queue

import (
	"context"
	"net/http"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

const (
	// queueProxy is the name of this hop.
	queueProxy = "queue-proxy"
	// mostSpans is how many spans wait for the collector. They are what is kept
	// of a burst, and every pod has a sidecar.
	mostSpans = 256
)

// Names of queue-proxy's spans, which are Knative's.
const (
	proxySpan = "kn.queueproxy.proxy"
	waitSpan  = "kn.queueproxy.wait"
)

// account is what is noted of one request that is to be told of. Of all others
// there is none.
type account struct {
	witness *proxy.Witness // nil unless the client wants to know
	trace   *trace.Context // nil unless something is traced
	spans   []trace.Span   // the one of the whole request first, where it is recorded
	waited  time.Duration  // for its turn
}

type accountKey struct{}

// accountOf returns nil for a request that nobody asks about.
func accountOf(r *http.Request) *account {
	a, _ := r.Context().Value(accountKey{}).(*account)
	return a
}

// account begins the account of a request that came at a time, if it is to
// have one.
func (s *sidecar) account(r *http.Request, came time.Time) (*account, *http.Request) {
	c := s.tracer.Join(r.Header)
	if c == nil && r.Header[proxy.Trace] == nil {
		return nil, r
	}
	a := &account{witness: proxy.NewWitness(r, came, queueProxy, s.config.Labels.Pod), trace: c}
	if c != nil && c.Sampled {
		a.spans = append(a.spans, c.New(proxySpan, trace.Server, c.Parent, came))
	}
	return a, r.WithContext(context.WithValue(a.witness.Follow(r.Context()), accountKey{}, a))
}

// tell adds what was noted to the headers of an answer that begins now.
func (s *sidecar) tell(a *account, to http.Header) {
	if a != nil {
		a.witness.Tell(to, s.config.Labels.Revision, a.waited, s.log)
	}
}

// enter waits for the request's turn.
func (s *sidecar) enter(r *http.Request) error {
	a := accountOf(r)
	if a == nil {
		return s.breaker.Enter(r.Context())
	}
	began := time.Now()
	err := s.breaker.Enter(r.Context())
	a.waits(began, time.Now(), err)
	return err
}

func (a *account) waits(began, now time.Time, err error) {
	a.waited = now.Sub(began)
	if len(a.spans) == 0 {
		return
	}
	span := a.trace.New(waitSpan, trace.Internal, a.spans[0].ID, began)
	span.End = now
	if err != nil {
		span.Failed = err.Error()
	}
	a.spans = append(a.spans, span)
}

// inject tells the container of the trace.
func (a *account) inject(h http.Header) {
	switch {
	case a == nil || a.trace == nil:
	case len(a.spans) > 0:
		a.trace.Inject(h, a.spans[0].ID)
	default:
		a.trace.InjectUnrecorded(h)
	}
}

// close ends a request's account.
func (s *sidecar) close(a *account, r *http.Request, status int, now time.Time) {
	if a == nil || len(a.spans) == 0 {
		return
	}
	span := &a.spans[0]
	span.End = now
	span.Describe(r, status)
	span.Set("kn.revision.name", s.config.Labels.Revision)
	span.Set("k8s.namespace.name", s.config.Labels.Namespace)
	span.Set("k8s.pod.name", s.config.Labels.Pod)
	s.tracer.Finish(a.spans...)
}

// newTracer returns the tracer of the pod's spans, which are the Service's as
// Knative has it; nil where nothing is traced.
func (s *sidecar) newTracer() *trace.Tracer {
	if s.config.Tracing.Protocol == trace.Off {
		return nil
	}
	name := s.config.Labels.Service
	if name == "" {
		name = s.config.Labels.Revision
	}
	t := trace.New(name, mostSpans, s.log)
	t.Use(s.config.Tracing)
	return t
}
