//go:build e2e

package chaos

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/test/box"
)

// result is one request and what came of it.
type result struct {
	at     time.Time // when it was to be sent
	took   time.Duration
	status int
	body   string
	err    error
}

func (r result) ok() bool { return r.err == nil && r.status == http.StatusOK }

func (r result) String() string {
	return fmt.Sprintf("%s after %s: status %d %q %v", r.at.Format("05.000"), r.took.Round(time.Millisecond), r.status, r.body, r.err)
}

// revision is the one that answered.
func (r result) revision() string {
	name, _, _ := strings.Cut(r.body, " ")
	return name
}

const (
	patience = time.Minute // of a client
	bound    = 4000        // requests in flight; more is an error of its own
)

// caller sends requests for one host and path.
type caller struct {
	url, host string
	http      http.Client
}

func newCaller(b *box.Box, host, path string) *caller {
	return &caller{url: b.Gateway + path, host: host, http: http.Client{
		Timeout:   patience,
		Transport: &http.Transport{MaxIdleConnsPerHost: bound},
	}}
}

// send sends one that was due at a moment.
func (c *caller) send(at time.Time) (r result) {
	r.at = at
	defer func() { r.took = time.Since(at) }()
	req, err := http.NewRequest(http.MethodGet, c.url, nil)
	if err != nil {
		r.err = err
		return r
	}
	req.Host = c.host
	res, err := c.http.Do(req)
	if err != nil {
		r.err = err
		return r
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	r.status, r.body, r.err = res.StatusCode, strings.TrimSpace(string(body)), err
	return r
}

// burst sends n requests at once.
func (c *caller) burst(n int) results {
	all := make(results, n)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i] = c.send(time.Now()) })
	}
	wg.Wait()
	c.http.CloseIdleConnections()
	return all
}

// load sends requests at a fixed rate, however long the answers take, and
// counts each from the moment when it was due.
type load struct {
	caller *caller
	end    chan struct{}
	wg     sync.WaitGroup

	mu  sync.Mutex
	all results
}

// start begins a load of so many requests a second.
func (c *caller) start(perSecond int) *load {
	l := &load{caller: c, end: make(chan struct{})}
	l.wg.Go(func() { l.run(time.Second / time.Duration(perSecond)) })
	return l
}

func (l *load) run(interval time.Duration) {
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
				l.add(l.caller.send(due))
				<-slots
			})
		default:
			l.add(result{at: due, err: fmt.Errorf("%d requests are in flight", bound)})
		}
	}
}

func (l *load) add(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, r)
}

// stop ends the load, waits for the last answer, and returns all of them in
// the order in which they were due.
func (l *load) stop() results {
	close(l.end)
	l.wg.Wait()
	l.caller.http.CloseIdleConnections()
	slices.SortFunc(l.all, func(a, b result) int { return a.at.Compare(b.at) })
	return l.all
}

type results []result

// failed are those without a 200.
func (r results) failed() results {
	return slices.DeleteFunc(slices.Clone(r), result.ok)
}

// slower are those that took longer.
func (r results) slower(than time.Duration) results {
	return slices.DeleteFunc(slices.Clone(r), func(one result) bool { return one.took <= than })
}

// since are those that were due at a moment or later.
func (r results) since(t time.Time) results {
	return slices.DeleteFunc(slices.Clone(r), func(one result) bool { return one.at.Before(t) })
}

// answeredBy are those that had their answer, or none, at a moment.
func (r results) answeredBy(t time.Time) results {
	return slices.DeleteFunc(slices.Clone(r), func(one result) bool { return one.at.Add(one.took).After(t) })
}

// before are those that were due before a moment.
func (r results) before(t time.Time) results {
	return slices.DeleteFunc(slices.Clone(r), func(one result) bool { return !one.at.Before(t) })
}

// inFlight counts the requests that were under way at a moment.
func (r results) inFlight(t time.Time) int {
	n := 0
	for _, one := range r {
		if one.at.Before(t) && one.at.Add(one.took).After(t) {
			n++
		}
	}
	return n
}

// firstEnd is when the first of them ended.
func (r results) firstEnd() time.Time {
	var first time.Time
	for _, one := range r {
		if end := one.at.Add(one.took); first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// percentile is a share of the times, in hundredths.
func (r results) percentile(p int) time.Duration {
	took := make([]time.Duration, 0, len(r))
	for _, one := range r {
		took = append(took, one.took)
	}
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[(len(took)-1)*p/100]
}

func (r results) String() string {
	ms := func(p int) time.Duration { return r.percentile(p).Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d requests, %d failed, p50 %s, p95 %s, p99 %s, max %s", len(r), len(r.failed()), ms(50), ms(95), ms(99), ms(100))
}

// mean is how long one took.
func (r results) mean() time.Duration {
	var sum time.Duration
	for _, one := range r {
		sum += one.took
	}
	return sum / time.Duration(max(1, len(r)))
}

// list is the first few of them, a line each.
func (r results) list() string {
	var b strings.Builder
	for i, one := range r {
		if i == 10 {
			fmt.Fprintf(&b, "  and %d more\n", len(r)-i)
			break
		}
		fmt.Fprintf(&b, "  %s\n", one)
	}
	return b.String()
}
