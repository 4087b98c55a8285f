package way

import (
	"cmp"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// Observation is what the client sees of one request.
type Observation struct {
	Request Request

	Local, Remote string        // the two addresses of its connection
	Sent          []string      // names of the headers that it wrote
	Wrote         time.Duration // from the begin until it had written them
	Took          time.Duration // from the begin until it had the answer's headers

	Status  int
	Answer  http.Header
	Message string // the begin of the body of an answer of 400 and above

	// Before and After are the networks of the service's pods that have a
	// sidecar, by the pods' names, before the request was sent and after it.
	Before, After map[string]Network
}

// Make makes a way of what was seen.
func Make(o Observation) Way {
	w := Way{
		Service: o.Request.Service, Namespace: o.Request.Namespace,
		Method: o.Request.method(), Host: o.Request.Host, Path: o.Request.path(),
		Status: o.Status, Message: o.Message, Answer: names(o.Answer), Client: o.Took, Steps: []Step{},
	}
	t := readTiming(o.Answer.Values("Server-Timing"))
	if t != nil {
		w.Pod, w.Steps, w.Took = t.pod, t.steps, t.took
	}
	w.add(Hop{Name: Client, Seen: Reported, From: o.Local, To: o.Remote, Sent: sorted(o.Sent), Timed: true, Stayed: o.Took})
	activator, queue := reports(proxy.Hops(o.Answer))
	switch {
	case activator != nil:
		w.toActivator(o, activator)
		w.toPod(o, activator, queue)
	case t != nil:
		w.byTiming(t, queue)
	default:
		w.unreported(o, queue)
	}
	if queue != nil {
		w.inPod(o, queue)
	}
	w.sealed(activator, queue)
	for _, h := range []*proxy.Hop{activator, queue} {
		if h != nil && (cut(h.Received) || cut(h.Sent)) {
			w.note("The request has too many headers for %s to name, so which it added and took is not known.", h.Name)
		}
	}
	w.share()
	return w
}

func (w *Way) add(h Hop) { w.Hops = append(w.Hops, h) }

func (w *Way) note(format string, args ...any) {
	w.Notes = append(w.Notes, fmt.Sprintf(format, args...))
}

func (w *Way) last() *Hop { return &w.Hops[len(w.Hops)-1] }

// reports are the words of our two proxies. A container may say anything, but
// what it says comes behind what they do.
func reports(hops []proxy.Hop) (activator, queue *proxy.Hop) {
	for i := range hops {
		switch h := &hops[i]; {
		case h.Name == Activator && activator == nil && queue == nil:
			activator = h
		case h.Name == QueueProxy && queue == nil:
			queue = h
		}
	}
	return activator, queue
}

// toActivator adds what is between the client and the activator, if there is
// anything, and the activator.
func (w *Way) toActivator(o Observation, activator *proxy.Hop) {
	a := reported(*activator)
	if between := gap(w.last(), &a); between != nil {
		if envoy(o.Answer) {
			between.Name, between.Seen = Gateway, Observed
			between.Timed, between.Stayed = true, max(o.Took-o.Wrote, 0)
		} else {
			w.note("Something between client and activator did not report: the activator was reached from %s at %s.", known(a.Peer), known(a.Listen))
		}
		between.Added, between.Taken = difference(o.Sent, activator.Received)
		w.add(*between)
	}
	w.add(a)
}

// toPod adds what is between the activator and queue-proxy, and queue-proxy
// where it did not report.
func (w *Way) toPod(o Observation, activator, queue *proxy.Hop) {
	switch a := w.last(); {
	case queue != nil:
		q := reported(*queue)
		if between := gap(a, &q); between != nil {
			between.Added, between.Taken = difference(activator.Sent, queue.Received)
			if !w.bySidecar(between, q.Pod, &o) {
				w.note("Something between activator and queue-proxy did not report: queue-proxy was reached from %s at %s.", known(q.Peer), known(q.Listen))
			}
			w.add(*between)
		}
	case a.To != "":
		w.add(Hop{Name: QueueProxy, Seen: Unknown, Pod: w.Pod, Peer: a.From, Listen: a.To})
		w.add(Hop{Name: Container, Seen: Unknown, Pod: w.Pod})
		w.note("queue-proxy did not report: its pod may have gone meanwhile, or be one of an older devbox.")
	default:
		w.note("The activator sent the request no further.")
	}
}

// byTiming adds an activator that did not report, but told of the time.
func (w *Way) byTiming(t *timing, queue *proxy.Hop) {
	w.add(Hop{Name: Activator, Seen: Unknown, Timed: true, Stayed: t.took, Waited: t.steps[0].Took})
	if queue == nil {
		w.add(Hop{Name: QueueProxy, Seen: Unknown, Pod: t.pod})
		w.add(Hop{Name: Container, Seen: Unknown, Pod: t.pod})
		w.note("The activator told of the time only, and queue-proxy of nothing; the box may be of an older devbox.")
		return
	}
	w.note("The activator told of the time only; the box may be of an older devbox.")
}

// unreported adds what is known where the activator said nothing.
func (w *Way) unreported(o Observation, queue *proxy.Hop) {
	if envoy(o.Answer) {
		w.add(Hop{Name: Gateway, Seen: Observed, Peer: o.Local, Listen: o.Remote, Timed: true, Stayed: max(o.Took-o.Wrote, 0)})
		w.add(Hop{Name: Nameless, Seen: Unknown})
	} else {
		w.add(Hop{Name: Nameless, Seen: Unknown, Peer: o.Local, Listen: o.Remote})
	}
	switch {
	case w.Status == http.StatusRequestHeaderFieldsTooLarge:
		w.note("Whoever took the request at %s refused its headers as too large, before anybody could read in them that it is to report.", known(o.Remote))
	case queue != nil:
		w.note("The activator did not report; the box may be of an older devbox.")
	case w.Hop(Gateway) != nil && o.Request.Plain:
		w.note("What is behind the gateway runs without the serving stack, and reports nothing.")
	case w.Hop(Gateway) != nil:
		w.note("No hop behind the gateway reported: the box may be of an older devbox, or the gateway answered by itself.")
	default:
		w.note("No hop reported: the box may be of an older devbox, or something else answers at %s.", known(o.Remote))
	}
}

// inPod adds queue-proxy and the container behind it. The container reports
// nothing: it is where queue-proxy sent the request to.
func (w *Way) inPod(o Observation, queue *proxy.Hop) {
	q := reported(*queue)
	network := o.After[q.Pod]
	if w.last().Name == Sidecar {
		o.local(&q, network.ProxyUser)
	}
	w.add(q)
	if q.To == "" {
		w.note("queue-proxy sent the request no further.")
		return
	}
	container := Hop{
		Name: Container, Seen: Observed, Pod: q.Pod, Revision: q.Revision,
		Peer: q.From, Listen: q.To, Protocol: queue.ProtocolSent,
		Timed: true, Stayed: max(q.Stayed-q.Waited, 0),
	}
	o.local(&container, network.QueueUser)
	w.add(container)
	if queue.ProtocolSent == "" {
		w.note("queue-proxy heard no answer of the container.")
	}
	if w.Pod == "" {
		w.Pod = q.Pod
	}
}

// reported is a hop by its own word.
func reported(h proxy.Hop) Hop {
	hop := Hop{
		Name: h.Name, Seen: Reported, Pod: h.Pod, Revision: h.Revision,
		Peer: h.Peer, Listen: h.Listen, From: h.From, To: h.To, Protocol: h.Protocol,
		Timed: true, Stayed: max(h.FirstByte, 0), Waited: max(h.Waited, 0),
	}
	if h.To != "" { // else it sent nothing
		hop.Added, hop.Taken = difference(h.Received, h.Sent)
	}
	return hop
}

// gap is what is between two hops; nil where the second saw the connection
// that the first made.
func gap(before, behind *Hop) *Hop {
	if same(before.From, behind.Peer) && same(before.To, behind.Listen) {
		return nil
	}
	return &Hop{Name: Nameless, Seen: Unknown, Peer: before.From, Listen: before.To, From: behind.Peer, To: behind.Listen}
}

// same is whether both are one address. What is not known is no other one.
func same(a, b string) bool {
	if a == "" || b == "" || a == b {
		return true
	}
	first, err1 := netip.ParseAddrPort(a)
	second, err2 := netip.ParseAddrPort(b)
	return err1 == nil && err2 == nil && first.Port() == second.Port() && first.Addr().Unmap() == second.Addr().Unmap()
}

// envoy is whether an Istio gateway has put its name into an answer.
func envoy(answer http.Header) bool {
	return answer.Get("Server") == "istio-envoy" || answer.Get("X-Envoy-Upstream-Service-Time") != ""
}

// share gives each hop its own time: what it stayed without what it waited
// and without the next hop whose time is known.
func (w *Way) share() {
	var behind time.Duration
	for i := len(w.Hops) - 1; i >= 0; i-- {
		h := &w.Hops[i]
		if !h.Timed {
			continue
		}
		h.Own = max(h.Stayed-h.Waited-behind, 0)
		behind = h.Stayed
	}
}

// difference is which names after has more than before, and which less. Of a
// list that is cut off nobody can tell.
func difference(before, after []string) (added, taken []string) {
	if len(before) == 0 || len(after) == 0 || cut(before) || cut(after) {
		return nil, nil
	}
	return without(after, before), without(before, after)
}

// cut is whether a proxy left names out: it counts them in the last one.
func cut(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, " ") })
}

func without(names, others []string) []string {
	// net/http keeps Trailer apart from the headers that came.
	drop := map[string]bool{"Trailer": true}
	for _, name := range others {
		drop[http.CanonicalHeaderKey(name)] = true
	}
	var left []string
	for _, name := range names {
		if name = http.CanonicalHeaderKey(name); !drop[name] && !strings.HasPrefix(name, ":") {
			left = append(left, name)
		}
	}
	return sorted(left)
}

func names(header http.Header) []string {
	all := make([]string, 0, len(header))
	for name := range header {
		all = append(all, name)
	}
	return sorted(all)
}

// sorted is a sorted copy, each once.
func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// known is an address, or a word for one that is not known.
func known(address string) string { return cmp.Or(address, "an unknown address") }
