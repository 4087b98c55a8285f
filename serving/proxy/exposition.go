package proxy

import (
	"io"
	"net/http"
	"slices"
	"sync"
)

// Exposition serves numbers in Prometheus' text format, of one part or of
// several that share a process. The format is simple enough to be written by
// hand, which spares every pod a client library. Reading changes nothing: any
// number of readers see the same. The zero Exposition is ready for use.
type Exposition struct {
	mu    sync.Mutex
	parts []func(io.Writer)
}

// Add has a part's numbers served after those of the parts before it. No two
// parts may have a metric of the same name.
func (e *Exposition) Add(write func(io.Writer)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.parts = append(e.parts, write)
}

// ServeHTTP implements http.Handler.
func (e *Exposition) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	e.mu.Lock()
	parts := slices.Clone(e.parts)
	e.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	for _, write := range parts {
		write(w)
	}
}

// Metrics serves what write writes.
func Metrics(write func(io.Writer)) http.Handler {
	e := &Exposition{}
	e.Add(write)
	return e
}
