package activator

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// roads is the live side of the table: where requests look, and what keeps
// the revisions' pods and waiting requests across tables.
type roads struct {
	tell  teller
	room  *room                       // for requests that wait, of all revisions together
	probe func(context.Context, *pod) // a prober; runs until its context ends

	live    atomic.Pointer[map[string]*road]
	otel    atomic.Bool // numbers have upstream's newer names too
	probers sync.WaitGroup

	mu        sync.Mutex // apply is called by one goroutine, but not all() and forget()
	revisions map[types.NamespacedName]*revision
}

// road is how a host's traffic is split.
type road struct {
	lanes  []lane
	marked bool                 // requests say which way they came
	tag    string               // whose host it is; empty for a route's own
	byTag  map[string]*revision // whom a request's header may choose
}

// lane is a revision and the share of its road up to and with it.
type lane struct {
	revision *revision
	percent  int
	upTo     int
}

func newRoads(tell teller, room *room, probe func(context.Context, *pod)) *roads {
	r := &roads{tell: tell, room: room, probe: probe, revisions: make(map[types.NamespacedName]*revision)}
	r.live.Store(&map[string]*road{})
	return r
}

// find returns the road of a Host header's value.
func (r *roads) find(host string) (*road, bool) {
	live := *r.live.Load()
	if found, ok := live[host]; ok {
		return found, true
	}
	found, ok := live[hostname(host)]
	return found, ok
}

// pick chooses a revision: the one whose tag a request's headers name, where
// they count, or one by the road's percentages.
func (r *road) pick(headers http.Header) *revision {
	if chosen := r.chosen(headers); chosen != nil {
		return chosen
	}
	last := r.lanes[len(r.lanes)-1]
	if len(r.lanes) == 1 {
		return last.revision
	}
	n := rand.IntN(last.upTo)
	for _, l := range r.lanes {
		if n < l.upTo {
			return l.revision
		}
	}
	return last.revision
}

func (r *road) chosen(headers http.Header) *revision {
	if r.byTag == nil {
		return nil
	}
	if tag := headers[proxy.RouteTag]; len(tag) == 1 { // Envoy takes several for one with commas
		return r.byTag[tag[0]]
	}
	return nil
}

// mark says in a request's headers which way it comes, as Knative's ingress
// does: by a tag's host, by a tag's header, which says so itself, or by neither.
func (r *road) mark(headers http.Header) {
	switch {
	case !r.marked:
	case r.tag != "":
		headers[proxy.RouteTag] = []string{r.tag}
		delete(headers, proxy.DefaultRoute)
	case r.chosen(headers) == nil:
		headers[proxy.DefaultRoute] = yes
	default:
		delete(headers, proxy.DefaultRoute)
	}
}

// yes is a header's value, which nobody changes.
var yes = []string{"true"}

// largest is the revision with the largest share.
func (r *road) largest() *revision {
	most := r.lanes[0]
	for _, l := range r.lanes[1:] {
		if l.percent > most.percent {
			most = l
		}
	}
	return most.revision
}

// apply makes t the table. The order matters: a revision has its pods before
// a road leads to it, and requests that wait for one that lost its road are
// only sent to look again when there is something new to see.
func (r *roads) apply(ctx context.Context, t *table) {
	r.name(t)
	all := r.all()
	for key, rev := range all {
		spec, named := t.revisions[key]
		if !named {
			spec.timeout = defaultTimeout
		}
		for _, p := range rev.update(spec) {
			r.startProber(ctx, p)
		}
	}
	live := make(map[string]*road, len(t.hosts))
	routed := make(map[*revision]bool)
	for host, to := range t.hosts {
		made := &road{lanes: make([]lane, 0, len(to.split)), marked: t.tagHeader, tag: to.tag}
		if len(to.byTag) > 0 {
			made.byTag = make(map[string]*revision, len(to.byTag))
		}
		upTo := 0
		for _, s := range to.split {
			rev := all[s.revision]
			routed[rev] = true
			upTo += s.percent
			made.lanes = append(made.lanes, lane{revision: rev, percent: s.percent, upTo: upTo})
		}
		for tag, key := range to.byTag {
			made.byTag[tag] = all[key]
			routed[all[key]] = true // though the tag's own host may be another route's
		}
		live[host] = made
	}
	for rev := range routed {
		rev.route(true)
	}
	r.live.Store(&live)
	for _, rev := range all {
		if !routed[rev] {
			rev.route(false)
		}
	}
}

// name makes the revisions that t names, and notes which it does not.
func (r *roads) name(t *table) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rev := range r.revisions {
		rev.named = false
	}
	for key := range t.revisions {
		rev := r.revisions[key]
		if rev == nil {
			rev = &revision{
				key: key, namespace: []string{key.Namespace}, name: []string{key.Name},
				tell: r.tell, room: r.room, pods: make(map[types.UID]*pod),
			}
			r.revisions[key] = rev
		}
		rev.named = true
	}
}

// forget drops a revision that no table names any more. Requests that still
// hold on to it are not in its way.
func (r *roads) forget(rev *revision) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !rev.named {
		delete(r.revisions, rev.key)
	}
}

// all returns the live revisions.
func (r *roads) all() map[types.NamespacedName]*revision {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.revisions)
}

func (r *roads) startProber(ctx context.Context, p *pod) {
	ctx, stop := context.WithCancel(ctx)
	p.revision.mu.Lock()
	p.stop = stop
	p.revision.mu.Unlock()
	r.probers.Go(func() {
		defer stop()
		r.probe(ctx, p)
	})
}
