package activator

import (
	"errors"
	"math"
	"net/http"
	"runtime/debug"
	"sync/atomic"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

const (
	// heldCost is what a held request takes beside its header and body, most
	// of it net/http's connection. BenchmarkHeld measures it.
	heldCost = 24 << 10
	// headerCost is what a header takes beside its text.
	headerCost = 64

	// defaultHoldMemory is room for as many requests as may wait for one
	// revision.
	defaultHoldMemory = 256 << 20
)

// errNoRoom says that the requests that wait take all the memory they may.
var errNoRoom = errors.New("the requests that wait take all the memory there is for them")

// holdMemory is the default of what held requests may take together: never
// more than half of what the process may have, so that holding is what gives
// way, and not the process.
func holdMemory() int64 {
	limit := debug.SetMemoryLimit(-1) // which only asks
	if limit == math.MaxInt64 {
		return defaultHoldMemory
	}
	return min(defaultHoldMemory, limit/2)
}

// room is the memory that held requests may still take.
type room struct{ left atomic.Int64 }

func newRoom(bytes int64) *room {
	r := &room{}
	r.left.Store(bytes)
	return r
}

func (r *room) enter(bytes int64) error {
	if r.left.Add(-bytes) < 0 {
		r.leave(bytes)
		return errNoRoom
	}
	return nil
}

func (r *room) leave(bytes int64) { r.left.Add(bytes) }

// costOf is what holding r may take at most.
func costOf(r *http.Request) int64 {
	cost := int64(heldCost + len(r.RequestURI))
	for name, values := range r.Header {
		for _, value := range values {
			cost += int64(headerCost + len(name) + len(value))
		}
	}
	switch {
	case proxy.Fetchable(r):
		cost += r.ContentLength
	case r.ProtoMajor == 2 && r.ContentLength < 0:
		cost += proxy.StreamWindow
	case r.ProtoMajor == 2:
		cost += min(r.ContentLength, proxy.StreamWindow)
	}
	return cost
}
