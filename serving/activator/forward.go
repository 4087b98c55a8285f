package activator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

const (
	// dialTimeout is for pods that vanished without a word: their address
	// neither accepts nor refuses.
	dialTimeout = 2 * time.Second
	// keepIdle is how long an unused connection to a pod is kept; queue-proxy
	// keeps it for ever.
	keepIdle = 90 * time.Second
	// grace is how much longer than queue-proxy we wait for a response to
	// begin. Queue-proxy's own word comes first, unless its node is dead.
	grace = 5 * time.Second
)

var (
	errUnknown = errors.New("no route has this host")
	errSilent  = errors.New("the pod gave no answer in time")
)

// forwarder is the request road's part in the activator.
type forwarder struct {
	roads  *roads
	drain  *proxy.Drain
	http1  http.RoundTripper
	h2c    http.RoundTripper
	pod    string // in which the activator runs
	tracer *trace.Tracer
	log    *slog.Logger
}

// handler is the way of a request through the activator, outermost first:
//
//  1. the drain sees every request, since a probe by the gateway is one whose
//     answer must not be lost either;
//  2. probes and what no container may see are dealt with before a route is
//     looked up, so that they work for hosts in any state;
//  3. the road is chosen once, and the request is counted on its revision from
//     then on, held or not: this is what the autoscaler sees;
//  4. the reverse proxy is innermost. Its transport takes a pod, and another
//     one when the first refuses; so whatever waits or is tried again, nothing
//     has been written to the client yet.
func (f *forwarder) handler() http.Handler {
	reverse := proxy.New(roundTripper(f.roundTrip), f.log, rewrite)
	reverse.ModifyResponse = f.received
	reverse.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) { f.fail(w, r, tripOf(r), err) }
	var h http.Handler = reverse
	h = f.counted(h)
	h = f.guarded(h)
	return f.drain.Handler(h)
}

// guarded answers the activator's own probe and keeps out what has no
// business here.
func (f *forwarder) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch probe := r.Header[proxy.NetworkProbe]; {
		case probe == nil && r.Method != http.MethodConnect:
			next.ServeHTTP(w, r)
		case probe == nil:
			http.Error(w, "this proxy opens no tunnels", http.StatusMethodNotAllowed)
		case probe[0] != proxy.Activator:
			http.Error(w, "this is the activator, not "+probe[0], http.StatusBadRequest)
		default:
			f.answer(w, r)
		}
	})
}

// answer says which revision takes most of the host's traffic at this moment.
func (f *forwarder) answer(w http.ResponseWriter, r *http.Request) {
	road, ok := f.roads.find(r.Host)
	if !ok {
		http.Error(w, errUnknown.Error(), http.StatusNotFound)
		return
	}
	key := road.largest().key
	w.Header()[proxy.Namespace] = []string{key.Namespace}
	w.Header()[proxy.Revision] = []string{key.Name}
	if peer := proxy.PeerName(proxy.Session(r)); peer != "" {
		w.Header()[proxy.SessionPeer] = []string{peer}
	}
	_, _ = io.WriteString(w, proxy.Activator) // a prober that has gone asks again
}

// counted chooses the revision and counts the request on it.
func (f *forwarder) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived := time.Now()
		witness := proxy.NewWitness(r, arrived, proxy.Activator, f.pod)
		road, ok := f.roads.find(r.Host)
		if !ok {
			witness.Tell(w.Header(), "", 0, f.log)
			http.Error(w, fmt.Sprintf("no route has the host %q", r.Host), http.StatusNotFound)
			return
		}
		proxy.FullDuplex(w, r)
		t := &trip{w: w, r: r, arrived: arrived, witness: witness, journey: depart(f.tracer, r.Header, arrived)}
		if r.ContentLength != 0 {
			t.body = proxy.NewBody(r)
		}
		t.enter(road, t.arrived)
		defer t.leave()
		if err := t.board(r.Context(), f.roads); err != nil {
			f.fail(w, r, t, err)
			return
		}
		ctx, cancel := context.WithCancelCause(r.Context())
		defer cancel(nil)
		t.cancel = cancel
		ctx = witness.Follow(ctx)
		next.ServeHTTP(w, r.WithContext(context.WithValue(ctx, tripKey{}, t)))
	})
}

// byActivator is a header's value, which nobody changes.
var byActivator = []string{proxy.Activator}

// rewrite says for whom the request is. The pod is chosen later.
func rewrite(r *httputil.ProxyRequest) {
	h := r.Out.Header
	proxy.StripInternal(h)
	delete(h, proxy.Timing)
	delete(h, proxy.AskRevision)
	proxy.BeginForwarded(r.In, h)
	h[proxy.ProxyRequest] = byActivator
	t := tripOf(r.In)
	t.road.mark(h)
	t.journey.inject(h)
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// roundTrip sends the request to a pod. It tries another one, or waits for
// one, only when no container can have seen anything of the request.
func (f *forwarder) roundTrip(req *http.Request) (*http.Response, error) {
	ctx, t := req.Context(), tripOf(req)
	t.body.GiveTo(req)
	for {
		if t.pod == nil {
			if err := t.board(ctx, f.roads); err != nil {
				return nil, err
			}
		}
		resp, err := f.send(t, req)
		if !refused(ctx, t.pod, resp, err) {
			if errors.Is(context.Cause(ctx), errSilent) {
				t.revision.doubt(t.pod) // frozen, perhaps: it takes requests when it answers again
			}
			if err == nil && t.pod.account != "" {
				t.suspect(resp)
			}
			return resp, err
		}
		f.log.Debug("a pod refused a request", "pod", t.pod.name, "error", err)
		t.revision.doubt(t.pod)
		again := req.Clone(ctx)     // the transport may still look at the old one
		again.Trailer = req.Trailer // whose values are yet to come
		if !t.body.GiveTo(again) {
			return resp, err
		}
		if resp != nil {
			resp.Body.Close()
		}
		req = again
		t.alight()
		if timeout, _ := t.revision.manner(); time.Since(t.entered) > timeout {
			return nil, errHeldTooLong // its pods answer probes and refuse requests
		}
	}
}

// suspect looks whether a response of a pod with a sidecar is the sidecar's
// own: the pod is asked again what it thinks of requests.
func (t *trip) suspect(resp *http.Response) {
	switch {
	case sidecarDenied(resp):
		t.revision.wonder(t.pod)
	case sidecarLost(resp):
		t.revision.doubt(t.pod)
	}
}

// send is one try, cancelled when the response does not begin in time.
func (f *forwarder) send(t *trip, req *http.Request) (*http.Response, error) {
	timeout, h2c := t.revision.manner()
	transport := f.http1
	if h2c {
		transport = f.h2c
		proxy.NoUpgrade(req.Header)
	}
	req.URL.Host = t.pod.address
	req.Header[proxy.Namespace], req.Header[proxy.Revision] = t.revision.namespace, t.revision.name
	if to := toPod(req.Context(), t.pod); to != req.Context() {
		req = req.WithContext(to)
	}
	late := time.AfterFunc(timeout+grace, func() { t.cancel(errSilent) })
	defer late.Stop()
	return transport.RoundTrip(req)
}

// refused says that the container has seen nothing of the request: nothing
// was sent, queue-proxy says that the container did not take it, or a sidecar
// that queue-proxy did not.
func refused(ctx context.Context, p *pod, resp *http.Response, err error) bool {
	if err != nil {
		var unsent *proxy.UnsentError
		return ctx.Err() == nil && errors.As(err, &unsent)
	}
	return resp.Header[proxy.Refused] != nil || p.account != "" && sidecarRefused(resp)
}

// received looks at a response before it is passed on. When the client asked,
// it adds whose it is, where the time went, and what the activator saw of the
// request.
func (f *forwarder) received(resp *http.Response) error {
	delete(resp.Header, proxy.Refused)
	t := tripOf(resp.Request)
	t.status = resp.StatusCode
	if t.cold {
		t.revision.colds.observe(t, time.Now())
	}
	t.journey.answered(time.Now())
	if t.r.Header[proxy.AskRevision] != nil {
		resp.Header[proxy.Revision] = t.revision.name
	}
	if t.r.Header[proxy.Timing] != nil {
		resp.Header.Add("Server-Timing", t.timing(time.Now()))
	}
	t.witness.Answered(resp)
	t.witness.Tell(resp.Header, t.revision.key.Name, t.held, f.log)
	return nil
}

// fail answers a request for which there is no response.
func (f *forwarder) fail(w http.ResponseWriter, r *http.Request, t *trip, err error) {
	name := t.revision.key.String()
	t.witness.Tell(w.Header(), t.revision.key.Name, t.held, f.log)
	say := func(status int, text string) {
		t.status = status
		http.Error(w, text, status)
	}
	switch cause := context.Cause(r.Context()); {
	case errors.Is(cause, errSilent):
		f.log.Warn("a pod is silent", "revision", name, "waited", time.Since(t.arrived))
		say(http.StatusGatewayTimeout, errSilent.Error())
	case cause != nil:
		say(proxy.ClientGone, "") // to nobody
	case errors.Is(err, errUnknown):
		say(http.StatusNotFound, fmt.Sprintf("no route has the host %q", r.Host))
	case errors.Is(err, proxy.ErrFull):
		w.Header().Set("Retry-After", "1")
		say(http.StatusServiceUnavailable, fmt.Sprintf("%d requests wait for revision %s already", maxHeld, name))
	case errors.Is(err, errNoRoom):
		w.Header().Set("Retry-After", "1")
		say(http.StatusServiceUnavailable, err.Error())
	case errors.Is(err, errHeldTooLong):
		timeout, _ := t.revision.manner()
		say(http.StatusGatewayTimeout, fmt.Sprintf("no pod of revision %s took the request in %s", name, timeout))
	case t.body.Failed() != nil:
		w.Header().Set("Connection", "close") // what follows may be anything
		say(http.StatusBadRequest, "the request's body cannot be read: "+t.body.Failed().Error())
	default:
		f.log.Warn("a pod gave no answer", "revision", name, "error", err)
		say(http.StatusBadGateway, "the pod gave no answer: "+err.Error())
	}
}
