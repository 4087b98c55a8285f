// Package load sends requests as clients do, and keeps what came of each: one,
// many at once, so many a second, or as many as can be carried. The tests that
// break a box and those that measure one share it.
package load

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// Patience is how long a client waits for an answer.
	Patience = time.Minute

	bound = 4000 // requests in flight; more is an error of its own
)

// Caller sends requests for one host to one address.
type Caller struct {
	url, host string
	http      http.Client
}

// New returns a Caller of url, whose requests name host.
func New(url, host string) *Caller {
	return Over(&http.Transport{MaxIdleConnsPerHost: bound}, url, host)
}

// Over does the same with a transport of the caller's.
func Over(transport *http.Transport, url, host string) *Caller {
	return &Caller{url: url, host: host, http: http.Client{Timeout: Patience, Transport: transport}}
}

// Send sends one that was due at a moment.
func (c *Caller) Send(at time.Time) (r Result) {
	r.At = at
	defer func() { r.Took = time.Since(at) }()
	req, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		r.Err = err
		return r
	}
	req.Host = c.host
	res, err := c.http.Do(req)
	if err != nil {
		r.Err = err
		return r
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r.Status, r.Body, r.Err = res.StatusCode, strings.TrimSpace(string(body)), err
	return r
}

// Burst sends n requests at once.
func (c *Caller) Burst(n int) Results {
	all := make(Results, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = c.Send(time.Now()) })
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	return all
}

// Saturate has so many clients send one request after the other for a time.
func (c *Caller) Saturate(clients int, d time.Duration) Results {
	each := make([]Results, clients)
	end := time.Now().Add(d)
	var wg sync.WaitGroup
	for i := range each {
		wg.Go(func() {
			for now := time.Now(); now.Before(end); now = time.Now() {
				each[i] = append(each[i], c.Send(now))
			}
		})
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	return slices.Concat(each...)
}

// Load sends requests at a fixed rate, however long the answers take, and
// counts each from the moment when it was due.
type Load struct {
	caller *Caller
	end    chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	all Results
}

// Start begins a Load of so many requests a second.
func (c *Caller) Start(perSecond int) *Load {
	l := &Load{caller: c, end: make(chan struct{})}
	l.wg.Go(func() { l.run(time.Second / time.Duration(perSecond)) })
	return l
}

func (l *Load) run(interval time.Duration) {
	slots := make(chan struct{}, bound)
	for due := time.Now(); ; due = due.Add(interval) {
		select {
		case <-time.After(time.Until(due)):
		case <-l.end:
			return
		}
		select {
		case slots <- struct{}{}:
			l.wg.Go(func() {
				l.add(l.caller.Send(due))
				<-slots
			})
		default:
			l.add(Result{At: due, Err: fmt.Errorf("%d requests are in flight", bound)})
		}
	}
}

func (l *Load) add(r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

// Stop ends the load, waits for the last answer, and returns all of them in
// the order in which they were due.
func (l *Load) Stop() Results {
	close(l.end)
	l.wg.Wait()
	l.caller.http.CloseIdleConnections()
	slices.SortFunc(l.all, func(a, b Result) int { return a.At.Compare(b.At) })
	return l.all
}
