package activator

import (
	"net/http"
	"strconv"
	"time"

	"github.com/kind-in-a-box/devbox/serving/trace"
)

// Names of the activator's spans; those of the two inner ones are Knative's.
const (
	serverSpan = "activator"
	heldSpan   = "throttler_try"
	proxySpan  = "activator_proxy"
)

// mostSpans is how many spans wait for the collector: a few MiB at most.
const mostSpans = 4096

// journey is one request's place in a trace, and its spans if the trace is
// recorded. There is none while nothing is traced.
//
//	activator            from when the request came to when it was answered
//	  throttler_try      while it waited for a pod
//	  activator_proxy    while the pod had it; the parent of queue-proxy's
type journey struct {
	*trace.Context
	tracer       *trace.Tracer
	whole, atPod trace.Span
	held         []trace.Span
	pod          string // the last one
}

// depart begins the journey of a request that came at a time.
func depart(tracer *trace.Tracer, h http.Header, came time.Time) *journey {
	c := tracer.Join(h)
	if c == nil {
		return nil
	}
	j := &journey{Context: c, tracer: tracer}
	if c.Sampled {
		j.whole = c.New(serverSpan, trace.Server, c.Parent, came)
		j.atPod = c.New(proxySpan, trace.Client, j.whole.ID, time.Time{})
	}
	return j
}

// inject tells queue-proxy of the trace.
func (j *journey) inject(h http.Header) {
	switch {
	case j == nil:
	case j.Sampled:
		j.Inject(h, j.atPod.ID)
	default:
		j.InjectUnrecorded(h)
	}
}

// boarded notes that t has waited for a pod, and has one unless err says
// otherwise.
func (j *journey) boarded(t *trip, began, now time.Time, err error) {
	if j == nil || !j.Sampled {
		return
	}
	s := j.New(heldSpan, trace.Internal, j.whole.ID, began)
	s.End = now
	s.Set("kn.revision.name", t.revision.key.Name)
	s.Set("k8s.namespace.name", t.revision.key.Namespace)
	if err != nil {
		s.Failed = err.Error()
		j.held = append(j.held, s)
		return
	}
	s.Set("k8s.pod.name", t.pod.name)
	for _, step := range t.steps(now) {
		s.Happened(step.name, step.at)
	}
	s.Set("devbox.cold", strconv.FormatBool(len(s.Events) > 0))
	j.held = append(j.held, s)
	if j.atPod.Start.IsZero() {
		j.atPod.Start = now
	}
	j.pod = t.pod.name
}

// answered notes that the pod's answer begins.
func (j *journey) answered(now time.Time) {
	if j != nil && j.Sampled {
		j.atPod.Happened("first byte", now)
	}
}

// arrive ends t's journey.
func (j *journey) arrive(t *trip, now time.Time) {
	if j == nil || !j.Sampled {
		return
	}
	spans := append(j.held, j.whole)
	if !j.atPod.Start.IsZero() {
		j.atPod.Set("k8s.pod.name", j.pod)
		spans = append(spans, j.atPod)
	}
	for i := range spans {
		s := &spans[i]
		if s.Name == heldSpan {
			continue
		}
		s.End = now
		s.Describe(t.r, t.status)
		s.Set("kn.revision.name", t.revision.key.Name)
		s.Set("k8s.namespace.name", t.revision.key.Namespace)
	}
	j.tracer.Finish(spans...)
}
