package standby

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Desk is where pods wait, in the controller. It knows them for as long as it
// lives: who comes with a token of an earlier one is dismissed. It is an
// http.Handler, and safe for concurrent use. Use NewDesk.
type Desk struct {
	news func(pod string)

	mu     sync.Mutex
	closed chan struct{}
	guests map[string]*guest // by token
	tokens map[string]string // by pod
}

// guest is a pod.
type guest struct {
	pod     string
	prepare map[string][]Layer // by container
	changed chan struct{}      // closed when that is another
	orders  map[string]*Order  // set once
	ordered chan struct{}      // closed when they are
	calls   map[string]int     // how often a container has come
	there   map[string]int     // of each container, its connections
	failure string
}

// NewDesk returns a Desk that calls news when a pod has come to wait, has gone,
// or has failed. News must not block.
func NewDesk(news func(pod string)) *Desk {
	return &Desk{news: news, closed: make(chan struct{}), guests: map[string]*guest{}, tokens: map[string]string{}}
}

// Close sends everybody away.
func (d *Desk) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.closed:
	default:
		close(d.closed)
	}
}

// NewToken is a token that nobody can guess.
func NewToken() string { return rand.Text() }

// Admit says that a pod is to come, with its token. Containers are those that
// wait in it, each with the layers that it is to have in place meanwhile.
func (d *Desk) Admit(pod, token string, containers map[string][]Layer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.guests[token] = &guest{
		pod: pod, prepare: containers, changed: make(chan struct{}), ordered: make(chan struct{}),
		calls: map[string]int{}, there: map[string]int{},
	}
	d.tokens[pod] = token
}

// Prepare has a container of a pod that waits have other layers in place, those
// that its order is likely to name. To a pod that does not wait it does nothing.
func (d *Desk) Prepare(pod, container string, layers []Layer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[d.tokens[pod]]
	if g == nil || !g.state().Waits {
		return
	}
	g.prepare[container] = layers
	close(g.changed)
	g.changed = make(chan struct{})
}

// Dismiss forgets a pod.
func (d *Desk) Dismiss(pod string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.guests, d.tokens[pod])
	delete(d.tokens, pod)
}

// State is how it stands with a pod.
type State struct {
	Waits  bool   // all of its containers do, and have since they began
	Stale  bool   // one of them has begun anew before there was an order
	Failed string // why it could not follow its order, or prepare for one; "" while it has not said so
}

// Of is how it stands with a pod.
func (d *Desk) Of(pod string) State {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[d.tokens[pod]]
	if g == nil {
		return State{}
	}
	return g.state()
}

func (g *guest) state() State {
	s := State{Waits: g.orders == nil && g.failure == "", Failed: g.failure}
	for container := range g.prepare {
		s.Waits = s.Waits && g.there[container] == 1 && g.calls[container] == 1
		s.Stale = s.Stale || g.orders == nil && g.calls[container] > 1
	}
	return s
}

// ErrNotWaiting is the error of an order to a pod that does not wait.
var ErrNotWaiting = errors.New("the pod does not wait")

// Send gives a pod that waits its orders, by container. It does not say whether
// they were followed.
func (d *Desk) Send(pod string, orders map[string]*Order) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[d.tokens[pod]]
	if g == nil || !g.state().Waits {
		return ErrNotWaiting
	}
	for container := range g.prepare {
		if orders[container] == nil {
			return fmt.Errorf("there is no order for %s", container)
		}
	}
	g.orders = orders
	close(g.ordered)
	return nil
}

// ServeHTTP takes who waits (GET) until there is an order, and who has failed
// (POST).
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		http.Error(w, "want the token of a pod that waits", http.StatusUnauthorized)
		return
	}
	container := r.URL.Query().Get("container")
	g := d.guest(token, container)
	switch {
	case g == nil:
		http.Error(w, "no pod with this token waits in such a container", http.StatusForbidden)
	case r.Method == http.MethodGet:
		d.serve(w, r, g, container)
	case r.Method == http.MethodPost:
		d.fail(w, r, g, container)
	default:
		http.Error(w, "want GET or POST", http.StatusMethodNotAllowed)
	}
}

func (d *Desk) guest(token, container string) *guest {
	d.mu.Lock()
	defer d.mu.Unlock()
	g := d.guests[token]
	if g == nil {
		return nil
	}
	if _, ok := g.prepare[container]; !ok {
		return nil
	}
	return g
}

// count counts a connection of a container, and one that has gone.
func (d *Desk) count(g *guest, container string, n int) {
	d.mu.Lock()
	g.there[container] += n
	if n > 0 {
		g.calls[container]++
	}
	d.mu.Unlock()
	d.news(g.pod)
}

// serve tells a container what to prepare, and its order when there is one. A
// container that is started again is told again.
func (d *Desk) serve(w http.ResponseWriter, r *http.Request, g *guest, container string) {
	control := http.NewResponseController(w)
	say := func(m *message) error {
		line := []byte{}
		if m != nil {
			line, _ = json.Marshal(m) // a struct of strings
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		return control.Flush()
	}
	first, changed := d.prepare(g, container)
	if say(first) != nil {
		return
	}
	d.count(g, container, 1)
	defer d.count(g, container, -1)
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		var next *message
		select {
		case <-r.Context().Done():
			return
		case <-d.closed:
			return
		case <-g.ordered:
			_ = say(&message{Order: g.orders[container]}) // it asks again
			return
		case <-changed:
			next, changed = d.prepare(g, container)
		case <-tick.C:
		}
		if say(next) != nil {
			return
		}
	}
}

// prepare is what a container is told until there is an order, and what says
// that it is to be told anew.
func (d *Desk) prepare(g *guest, container string) (*message, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if g.orders != nil {
		return nil, nil // its order comes next
	}
	return &message{Prepare: g.prepare[container]}, g.changed
}

// maxWords is how much of what went wrong is kept. In bytes.
const maxWords = 4 << 10

func (d *Desk) fail(w http.ResponseWriter, r *http.Request, g *guest, container string) {
	words, _ := io.ReadAll(io.LimitReader(r.Body, maxWords)) // as much as came
	d.mu.Lock()
	g.failure = container + ": " + strings.ToValidUTF8(string(words), "")
	d.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
	d.news(g.pod)
}
