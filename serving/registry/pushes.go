package registry

import (
	"fmt"
	"net/http"
	"sync"
)

// PushesPath is where the registry says, in a response without an end, which
// images arrive: a line for each, as in default/hello@sha256:...
const PushesPath = "/pushes"

// missed is how many images may arrive before somebody who listens has read of
// the first; what comes then he is not told of.
const missed = 64

// pushes tell of images that have arrived. The zero value is ready.
type pushes struct {
	mu        sync.Mutex
	closed    bool
	listeners map[chan string]bool
}

// tell says that an image has arrived. It does not block.
func (p *pushes) tell(image string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.listeners {
		select {
		case l <- image:
		default:
		}
	}
}

// listen returns what is told from now on, until somebody leaves or all is
// closed.
func (p *pushes) listen() chan string {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := make(chan string, missed)
	if p.closed {
		close(l)
		return l
	}
	if p.listeners == nil {
		p.listeners = map[chan string]bool{}
	}
	p.listeners[l] = true
	return l
}

func (p *pushes) leave(l chan string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.listeners, l)
}

// close ends every response, so that a server can end.
func (p *pushes) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for l := range p.listeners {
		close(l)
	}
	p.listeners = nil
}

// ServeHTTP serves PushesPath.
func (p *pushes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l := p.listen()
	defer p.leave(l)
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	for {
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case image, ok := <-l:
			if !ok {
				return
			}
			if _, err := fmt.Fprintln(w, image); err != nil {
				return
			}
		}
	}
}
