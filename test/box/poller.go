package box

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Poller asks one host again and again, and keeps count.
type Poller struct {
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	requests int
	failures []string
	bodies   []string // as they changed
	changed  []time.Time
	news     chan struct{} // closed and made anew at every change
}

// Poll asks host every interval until Stop, one request at a time.
func (b *Box) Poll(host string, interval time.Duration) *Poller {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Poller{cancel: cancel, news: make(chan struct{})}
	p.wg.Go(func() {
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				p.note(b.Get(host, "/"))
			}
		}
	})
	return p
}

func (p *Poller) note(status int, body string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if err != nil || status != http.StatusOK {
		p.failures = append(p.failures, fmt.Sprintf("%s: status %d %q %v", time.Now().Format("05.000"), status, body, err))
		return
	}
	if len(p.bodies) == 0 || p.bodies[len(p.bodies)-1] != body {
		p.bodies = append(p.bodies, body)
		p.changed = append(p.changed, time.Now())
		close(p.news)
		p.news = make(chan struct{})
	}
}

// Await returns when the first answer came that was want, and false when none
// has come in time.
func (p *Poller) Await(want string, timeout time.Duration) (time.Time, bool) {
	deadline := time.After(timeout)
	for {
		p.mu.Lock()
		i, news := slices.Index(p.bodies, want), p.news
		var at time.Time
		if i >= 0 {
			at = p.changed[i]
		}
		p.mu.Unlock()
		if i >= 0 {
			return at, true
		}
		select {
		case <-news:
		case <-deadline:
			return time.Time{}, false
		}
	}
}

// Stop ends the polling and returns the number of requests, the failed ones
// in words, and the different answers in the order they came.
func (p *Poller) Stop() (requests int, failures, bodies []string) {
	p.cancel()
	p.wg.Wait()
	return p.requests, p.failures, p.bodies
}
