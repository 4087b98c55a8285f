package page

import (
	"encoding/json"
	"maps"
	"slices"
	"sync"
)

// waiting is how many messages may wait for one page. One that does not take
// them is sent away; it comes back, and is told everything anew.
const waiting = 256

// message is one part of what the page shows.
type message struct {
	name string
	data []byte // JSON
}

// hub tells every page that is open what is new, and one that comes what there
// is. It never waits for a page.
type hub struct {
	mu    sync.Mutex
	parts map[string]message
	pages map[chan message]bool
}

func newHub() *hub { return &hub{parts: map[string]message{}, pages: map[chan message]bool{}} }

// put says how a part is now, if that is new.
func (h *hub) put(name string, value any) {
	m, ok := encode(name, value)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if string(h.parts[name].data) == string(m.data) {
		return
	}
	h.parts[name] = m
	h.send(m)
}

// tell says something that only matters to those who are there.
func (h *hub) tell(name string, value any) {
	m, ok := encode(name, value)
	if !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.send(m)
}

// encode makes a message. What we show is plain data; there is nothing in it
// that JSON does not have.
func encode(name string, value any) (message, bool) {
	data, err := json.Marshal(value)
	return message{name, data}, err == nil
}

// send hands m to all pages. The hub is locked.
func (h *hub) send(m message) {
	for page := range h.pages {
		select {
		case page <- m:
		default:
			delete(h.pages, page)
			close(page)
		}
	}
}

// join returns what there is, and a channel of what comes, which is closed
// when the page is too slow. leave ends it.
func (h *hub) join() (now []message, news <-chan message, leave func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	page := make(chan message, waiting)
	h.pages[page] = true
	for _, name := range slices.Sorted(maps.Keys(h.parts)) {
		now = append(now, h.parts[name])
	}
	return now, page, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.pages, page)
	}
}
