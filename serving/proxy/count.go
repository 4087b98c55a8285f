package proxy

import (
	"sync"
	"time"
)

// Counter counts requests exactly: nothing is sampled, so what the autoscaler
// decides on is what happened. The zero Counter is ready for use.
type Counter struct {
	mu       sync.Mutex
	total    Totals
	changed  time.Time // up to when total.Busy is right
	reported Totals    // at the last report,
	since    time.Time // which was then
}

// Totals is what a Counter has seen since it began.
type Totals struct {
	Requests int           // that have begun
	Busy     time.Duration // requests in flight, integrated over time
	InFlight int           // at this moment
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
	c.total.InFlight++
	c.total.Requests++
}

// End counts a request that is over at now.
func (c *Counter) End(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	c.total.InFlight--
}

// InFlight is the number of requests in flight.
func (c *Counter) InFlight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total.InFlight
}

// Totals returns what happened since the beginning.
func (c *Counter) Totals(now time.Time) Totals {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	return c.total
}

// Report returns what happened since the last report, and begins the next one.
func (c *Counter) Report(now time.Time) Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.advance(now)
	r := Report{Requests: c.total.Requests - c.reported.Requests, InFlight: c.total.InFlight}
	if span := c.changed.Sub(c.since); span > 0 {
		r.Concurrency = float64(c.total.Busy-c.reported.Busy) / float64(span)
	}
	c.reported, c.since = c.total, c.changed
	return r
}

// advance brings busy up to now. Callers read the clock before they take the
// lock, so now may lie a little before what is already counted.
func (c *Counter) advance(now time.Time) {
	if c.since.IsZero() {
		c.since, c.changed = now, now
	}
	if now.After(c.changed) {
		c.total.Busy += time.Duration(c.total.InFlight) * now.Sub(c.changed)
		c.changed = now
	}
}
