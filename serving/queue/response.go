package queue

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

var errTimeout = errors.New("request timeout")

// response is the ResponseWriter of one request. It remembers the status,
// and cancels the request when the container takes too long:
//
//   - no first byte within Timeout, ResponseStart and Idle: 504
//   - a first byte, and then none for Idle: the response is cut
//
// A response that has begun is not cut by Timeout: Knative lets it go on.
type response struct {
	http.ResponseWriter
	cancel context.CancelCauseFunc
	idle   time.Duration

	mu      sync.Mutex
	timer   *time.Timer // nil without a bound
	status  int         // 0 until the response begins
	written time.Time   // when something was last written; kept only with idle
}

// newResponse returns the response and the context of its request.
func newResponse(w http.ResponseWriter, r *http.Request, c *Config) (*response, *http.Request) {
	ctx, cancel := context.WithCancelCause(r.Context())
	res := &response{ResponseWriter: w, cancel: cancel, idle: c.Idle}
	if first := firstByteWithin(c); first > 0 {
		res.timer = time.AfterFunc(first, res.late)
	}
	return res, r.WithContext(ctx)
}

// firstByteWithin is the shortest of the bounds that are set.
func firstByteWithin(c *Config) time.Duration {
	var first time.Duration
	for _, bound := range [...]time.Duration{c.Timeout, c.ResponseStart, c.Idle} {
		if bound > 0 && (first == 0 || bound < first) {
			first = bound
		}
	}
	return first
}

// done ends the response's timer and context.
func (w *response) done() {
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel(nil)
}

// late is called by the timer.
func (w *response) late() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status != 0 {
		if left := w.idle - time.Since(w.written); left > 0 {
			w.timer.Reset(left)
			return
		}
	}
	w.cancel(errTimeout)
}

// begin notes that the response has begun or goes on.
func (w *response) begin(status int) {
	if w.status != 0 && w.idle == 0 {
		return // only the handler's goroutine writes status
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 {
		w.status = status
		if w.timer != nil && w.idle == 0 {
			w.timer.Stop()
		}
	}
	if w.idle > 0 {
		w.written = time.Now()
	}
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	if status >= http.StatusOK { // 1xx is news about the response, not the response
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *response) Write(b []byte) (int, error) {
	w.begin(http.StatusOK)
	return w.ResponseWriter.Write(b)
}

// Hijack hands over the connection of an upgraded request, which no bound
// applies to any more.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	w.status, w.idle = http.StatusSwitchingProtocols, 0
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
