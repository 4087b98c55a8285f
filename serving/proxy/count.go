package proxy

import (
	"sync"
	"time"
)

// Counter counts requests exactly: nothing is sampled, so what the autoscaler
// decides on is what happened. The zero Counter is ready for use.
type Counter struct {
	mu       sync.Mutex
	inFlight int
	arrived  int
	busy     time.Duration // requests in flight, integrated over time
	since    time.Time     // when the current report began
	changed  time.Time     // up to when busy is right
}

// Report is what a Counter saw since the report before.
type Report struct {
	// Concurrency is the time-weighted average of requests in flight.
	Concurrency float64
	// Requests is the number of requests that began.
	Requests int
	// InFlight is the number of requests in flight when the report was made.
	InFlight int
}

// Begin counts a request that arrived at now.
func (c *Counter) Begin(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.inFlight++
	c.arrived++
}

// End counts a request that is over at now.
func (c *Counter) End(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.inFlight--
}

// InFlight is the number of requests in flight.
func (c *Counter) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inFlight
}

// Report returns what happened since the last report, and begins the next one.
func (c *Counter) Report(now time.Time) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	r := Report{Requests: c.arrived, InFlight: c.inFlight}
	if span := c.changed.Sub(c.since); span > 0 {
		r.Concurrency = float64(c.busy) / float64(span)
	}
	c.arrived, c.busy, c.since = 0, 0, c.changed
	return r
}

// advance brings busy up to now. Callers read the clock before they take the
// lock, so now may lie a little before what is already counted.
func (c *Counter) advance(now time.Time) {
	if c.since.IsZero() {
		c.since, c.changed = now, now
	}
	if now.After(c.changed) {
		c.busy += time.Duration(c.inFlight) * now.Sub(c.changed)
		c.changed = now
	}
}
