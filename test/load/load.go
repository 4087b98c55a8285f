// Package load sends requests as clients do, and keeps what came of each: one,
// many at once, so many a second, or as many as can be carried. The tests that
// break a box and those that measure one share it.
package load

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	generator "github.com/kind-in-a-box/devbox/internal/load"
)

const (
	// Patience is how long a client waits for an answer.
	Patience = time.Minute

	bound = 4000 // requests in flight; one more is late
)

// Caller sends requests for one host to one address.
type Caller struct {
	url, address, host string
	dial               generator.Dial
	http               http.Client
}

// New returns a Caller of url, whose requests name host.
func New(url, host string) *Caller {
	return Over(&http.Transport{MaxIdleConnsPerHost: bound}, url, host)
}

// Over does the same with a transport of the caller's.
func Over(transport *http.Transport, target, host string) *Caller {
	u, err := url.Parse(target)
	if err != nil {
		panic(err) // a test's own mistake
	}
	address := u.Host
	if u.Port() == "" {
		address += ":80"
	}
	return &Caller{url: target, address: address, host: host, dial: transport.DialContext, http: http.Client{Timeout: Patience, Transport: transport}}
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

// Saturate has so many clients send one request after the other for a time. It
// is a loop of its own because it measures what the road carries on the cores
// that it shares with it: devbox's generator takes 57 µs of them for a request
// and its answer where this takes 52, both with a server that does nothing.
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
	stop  context.CancelFunc
	ended chan struct{}
	all   Results // once it has ended
}

// Start begins a Load of so many requests a second.
func (c *Caller) Start(perSecond int) *Load {
	ctx, stop := context.WithCancel(context.Background())
	l := &Load{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(l.ended)
		l.all = c.run(ctx, generator.Plan{Rate: generator.Rate{Freq: perSecond, Per: time.Second}, MaxWorkers: bound})
	}()
	return l
}

// Stop ends the load, waits for the last answer, and returns all of them in
// the order in which they were due.
func (l *Load) Stop() Results {
	l.stop()
	<-l.ended
	return l.all
}

// run has devbox's own generator send what p asks for until ctx ends.
func (c *Caller) run(ctx context.Context, p generator.Plan) Results {
	p.Gateway, p.Dial, p.Timeout, p.Patience = c.address, c.dial, Patience, Patience+time.Second
	p.Targets = []generator.Target{{Method: http.MethodGet, URL: c.url, Header: http.Header{"Host": {c.host}}}}
	var all Results
	_, err := generator.Run(ctx, p, func(h generator.Hit) { all = append(all, resultOf(h)) })
	if err != nil {
		panic(err) // only a load that gives up has one
	}
	slices.SortFunc(all, func(a, b Result) int { return a.At.Compare(b.At) })
	return all
}

func resultOf(h generator.Hit) Result {
	r := Result{At: h.Due(), Took: h.Late + h.Latency, Status: int(h.Code), Body: strings.TrimSpace(string(h.Body))}
	if h.Code == 0 {
		r.Err = errors.New(h.Error)
	}
	return r
}
