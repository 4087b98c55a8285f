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
// A response that has begun is not cut by Timeout: Knative lets it go on. An
// upgraded connection has begun when the container first says something on it,
// which is not the head that upgrades it. From then on it is idle while neither
// side says anything.
type response struct {
	http.ResponseWriter
	cancel context.CancelCauseFunc
	idle   time.Duration

	mu     sync.Mutex
	timer  *time.Timer // nil without a bound
	status int         // 0 until the response begins
	spoken bool        // the container has said what is timed: see above
	last   time.Time   // when something was last said; kept only with idle
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
	if w.spoken {
		if left := w.idle - time.Since(w.last); left > 0 {
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
	}
	w.said()
}

// said notes that the container says something. It is called with the lock
// held.
func (w *response) said() {
	if !w.spoken {
		w.spoken = true
		if w.timer != nil && w.idle == 0 {
			w.timer.Stop()
		}
	}
	if w.idle > 0 {
		w.last = time.Now()
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

// Hijack hands over the connection of an upgraded request. What is written to
// it, the container says: the head of the response goes another way.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	w.status = http.StatusSwitchingProtocols
	bounded := w.timer != nil
	w.mu.Unlock()
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil || !bounded {
		return conn, rw, err
	}
	return &upgraded{conn, w}, rw, nil
}

// upgraded is a connection whose time is bounded.
type upgraded struct {
	net.Conn
	response *response
}

// Write implements net.Conn: the container says something.
func (u *upgraded) Write(b []byte) (int, error) {
	u.response.mu.Lock()
	u.response.said()
	u.response.mu.Unlock()
	return u.Conn.Write(b)
}

// Read implements net.Conn: the client does.
func (u *upgraded) Read(b []byte) (int, error) {
	n, err := u.Conn.Read(b)
	u.response.mu.Lock()
	if n > 0 && u.response.spoken {
		u.response.said()
	}
	u.response.mu.Unlock()
	return n, err
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }
