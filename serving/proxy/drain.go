package proxy

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// drainPoll is how often a draining server looks whether it may leave. It
// only runs while draining, so it costs the request path nothing.
const drainPoll = 5 * time.Millisecond

// Drain lets a server leave without losing a request. Those who send to it
// learn only after a while that it leaves, and until then go on sending. So a
// draining server
//
//   - answers probes with "no" (its owner asks Draining),
//   - serves every request that still comes, on old connections and new ones,
//   - asks with Connection: close for each HTTP/1.1 connection it answers on to
//     be given up, and closes none by itself: closing one that is idle could
//     meet a request on its way,
//   - leaves HTTP/2 connections alone: the GOAWAY that asks the same of them
//     disowns the requests that are on their way,
//   - leaves when nothing is in flight and nothing has come for a quiet period.
//
// An upgraded connection is no request in flight: it may last for days, and
// only the container can end it well. Whoever leaves last waits for those
// with WaitUpgraded.
//
// The zero Drain is ready for use.
type Drain struct {
	draining atomic.Bool
	inFlight atomic.Int64 // without those upgraded
	upgraded atomic.Int64 // connections that are none of HTTP's any more
	last     atomic.Int64 // when a request last began or ended, or Begin was called
}

// Handler counts the requests that pass to next.
func (d *Drain) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.inFlight.Add(1)
		in := &d.inFlight
		defer func() {
			d.last.Store(time.Now().UnixNano())
			in.Add(-1)
		}()
		if r.Header["Upgrade"] != nil {
			w = &upgrade{w, func() {
				d.upgraded.Add(1)
				d.inFlight.Add(-1)
				in = &d.upgraded
			}}
		} else if d.draining.Load() && r.ProtoMajor == 1 {
			// An upgrade's Connection header is spoken for; its connection
			// will not carry a second request anyway.
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// upgrade is the ResponseWriter of a request that may become a connection.
type upgrade struct {
	http.ResponseWriter
	done func()
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err == nil {
		u.done()
	}
	return conn, rw, err
}

// Unwrap lets http.ResponseController find what the server's own writer can do.
func (u *upgrade) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// Begin starts draining.
func (d *Drain) Begin() {
	d.last.Store(time.Now().UnixNano())
	d.draining.Store(true)
}

// Draining says whether Begin was called.
func (d *Drain) Draining() bool { return d.draining.Load() }

// Wait returns nil once nothing is in flight and no request has come or gone
// for the quiet period, or ctx's error when that ends first.
func (d *Drain) Wait(ctx context.Context, quiet time.Duration) error {
	return poll(ctx, func() bool { return d.quietFor(quiet) })
}

// WaitUpgraded returns nil once no upgraded connection is open any more, or
// ctx's error when that ends first.
func (d *Drain) WaitUpgraded(ctx context.Context) error {
	return poll(ctx, func() bool { return d.upgraded.Load() == 0 })
}

func poll(ctx context.Context, so func() bool) error {
	poll := time.NewTicker(drainPoll)
	defer poll.Stop()
	for !so() {
		select {
		case <-poll.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (d *Drain) quietFor(period time.Duration) bool {
	return d.inFlight.Load() == 0 && time.Now().UnixNano()-d.last.Load() >= int64(period)
}
