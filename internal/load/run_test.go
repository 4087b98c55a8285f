package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve answers at a gateway of the test's own.
func serve(t testing.TB, handler http.HandlerFunc) (gateway string) {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func get(host string) []Target {
	return []Target{{Method: http.MethodGet, URL: "http://" + host + "/"}}
}

// run runs a plan and returns its hits in the order in which they were due.
func run(t testing.TB, ctx context.Context, p Plan) ([]Hit, Ending, error) {
	t.Helper()
	if p.MaxWorkers == 0 {
		p.MaxWorkers = 100
	}
	var hits []Hit
	e, err := Run(ctx, p, func(h Hit) { hits = append(hits, h) })
	slices.SortFunc(hits, func(a, b Hit) int { return int(a.Seq) - int(b.Seq) })
	return hits, e, err
}

func TestEveryRequestGoesToTheGateway(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // which is not asked
	var mu sync.Mutex
	seen := map[string]int{}
	gateway := serve(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[fmt.Sprintf("%s %s %d %s", r.Method, r.Host, r.ProtoMajor, r.Header.Get("X-A"))]++
		http.Redirect(w, r, "http://elsewhere.example.net/", http.StatusFound) // which is not followed
	})
	for _, http2 := range []bool{false, true} {
		hits, _, err := run(t, t.Context(), Plan{
			Gateway: gateway, Rate: Rate{1000, time.Second}, MaxRequests: 10, HTTP2: http2, Timeout: time.Minute,
			Targets: []Target{{Method: "PUT", URL: "http://hello.default.example.com/x", Header: http.Header{"X-A": {"b"}}}},
		})
		if err != nil || len(hits) != 10 {
			t.Fatalf("%d hits, %v; want 10", len(hits), err)
		}
		for _, h := range hits {
			if h.Code != http.StatusFound || h.Failed() {
				t.Errorf("code %d, error %q; want the redirect itself", h.Code, h.Error)
			}
		}
	}
	want := map[string]int{"PUT hello.default.example.com 1 b": 10, "PUT hello.default.example.com 2 b": 10}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("the gateway saw %v; want %v", seen, want)
	}
}

func TestConnectionsAreKeptOrNot(t *testing.T) {
	for _, fresh := range []bool{false, true} {
		var dials atomic.Int32
		gateway := serve(t, func(http.ResponseWriter, *http.Request) {})
		hits, _, err := run(t, t.Context(), Plan{
			Gateway: gateway, MaxRequests: 20, MaxWorkers: 1, Targets: get("a"), NoKeepAlive: fresh,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				dials.Add(1)
				return new(net.Dialer).DialContext(ctx, network, address)
			},
		})
		want := int32(1)
		if fresh {
			want = 20
		}
		if err != nil || len(hits) != 20 || dials.Load() != want {
			t.Errorf("fresh %v: %d requests over %d connections, %v; want %d", fresh, len(hits), dials.Load(), err, want)
		}
	}
}

// pipes are the connections of a gateway without a network, for a bubble of
// time.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	close  func()
}

func newPipes() *pipes {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closed) })
	return p
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case p.conns <- theirs:
		return ours, nil
	case <-p.closed:
		return nil, errors.New("connection refused")
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.close(); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// bubble runs a test in time of its own, with a gateway that answers by h
// until it is closed.
func bubble(t *testing.T, h http.HandlerFunc, test func(t *testing.T, p Plan, closeGateway func())) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		server := &http.Server{Handler: h}
		var served sync.WaitGroup
		served.Go(func() { _ = server.Serve(listener) })
		test(t, Plan{Gateway: "gateway:80", Dial: listener.dial, Targets: get("hello.default.example.com"), MaxWorkers: 100}, func() { _ = server.Close() })
		_ = server.Close()
		served.Wait()
		time.Sleep(time.Second) // Close waits for no handler, and the bubble's time ends with this goroutine
	})
}

func TestTheRateIsKept(t *testing.T) {
	slow := func(http.ResponseWriter, *http.Request) { time.Sleep(300 * time.Millisecond) }
	bubble(t, slow, func(t *testing.T, p Plan, _ func()) {
		p.Rate, p.Duration = Rate{50, time.Second}, 10*time.Second
		recorder := NewRecorder(nil)
		began := time.Now()
		e, err := Run(t.Context(), p, recorder.Observe)
		if err != nil || e.Sending != p.Duration {
			t.Errorf("sent for %s, %v; want %s", e.Sending, err, p.Duration)
		}
		if took := time.Since(began); took < p.Duration || took > p.Duration+300*time.Millisecond {
			t.Errorf("it took %s; want the duration, and the last answer", took)
		}
		k := recorder.Report(p, e, NewTimeline(), nil).Rate
		if k.Asked != 50 || k.Kept != 50 || !k.OK || k.Unsent != 0 || k.Late != 0 {
			t.Errorf("%+v; want 50 a second, kept", k)
		}
		if k.FromDue.P50 != 300*time.Millisecond {
			t.Errorf("from due, p50 is %s; want 300ms", k.FromDue.P50)
		}
	})
}

func TestARateThatCannotBeKeptIsSaid(t *testing.T) {
	slow := func(http.ResponseWriter, *http.Request) { time.Sleep(100 * time.Millisecond) }
	bubble(t, slow, func(t *testing.T, p Plan, _ func()) {
		p.Rate, p.Duration, p.MaxWorkers = Rate{50, time.Second}, 10*time.Second, 2 // which carry 20 a second
		recorder := NewRecorder(nil)
		e, err := Run(t.Context(), p, recorder.Observe)
		if err != nil {
			t.Fatal(err)
		}
		report := recorder.Report(p, e, NewTimeline(), nil)
		k := report.Rate
		if k.OK || k.Kept < 19.9 || k.Kept > 20.3 || k.Unsent < 297 || k.Unsent > 301 {
			t.Errorf("%+v; want 20 a second kept, and 300 requests that never began", k)
		}
		if k.FromDue.Max < 5*time.Second || report.Vegeta.Latencies.Max > 200*time.Millisecond {
			t.Errorf("max from due %s, from begin %s; want the wait in the first only", k.FromDue.Max, report.Vegeta.Latencies.Max)
		}
		var text strings.Builder
		if err := report.WriteText(&text); err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(text.String(), "\n"); !strings.HasPrefix(first, "! The rate was not kept: 50 a second were asked for, and 20") {
			t.Errorf("the report begins with %q", first)
		}
	})
}

func TestCtrlCWaitsForAnswersAndNotForEver(t *testing.T) {
	stuck := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	bubble(t, stuck, func(t *testing.T, p Plan, _ func()) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		p.Rate, p.Patience, p.Timeout = Rate{1, time.Hour}, 5*time.Second, time.Hour
		hits, e, err := run(t, ctx, p)
		if len(hits) != 0 || e.Unfinished != 1 || err != nil || e.Sending != time.Second {
			t.Errorf("%d hits, %+v, %v; want one that is not finished", len(hits), e, err)
		}
		if took := time.Since(began); took != 6*time.Second {
			t.Errorf("it took %s; want a second of load and 5 of patience", took)
		}
	})
}

func TestTheBoxGoesAway(t *testing.T) {
	bubble(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, p Plan, closeGateway func()) {
		time.AfterFunc(10*time.Second+time.Millisecond, closeGateway)
		p.Rate, p.Duration, p.GiveUp = Rate{50, time.Second}, time.Minute, 3*time.Second
		hits, e, err := run(t, t.Context(), p)
		lost, ok := errors.AsType[*LostError](err)
		if !ok || lost.After != 10*time.Second || !strings.Contains(lost.Last, "connection refused") {
			t.Errorf("%v; want a box that was lost after 10s", err)
		}
		if e.Sending < 13*time.Second || e.Sending > 13*time.Second+20*time.Millisecond || len(hits) < 650 {
			t.Errorf("%d hits in %s; want it to go on for 3s", len(hits), e.Sending)
		}
	})
}

// TestTheBoxGoesAwayUnderNoRate: nothing but refusals would be left to count.
func TestTheBoxGoesAwayUnderNoRate(t *testing.T) {
	bubble(t, func(http.ResponseWriter, *http.Request) { time.Sleep(time.Millisecond) }, func(t *testing.T, p Plan, closeGateway func()) {
		time.AfterFunc(time.Second, closeGateway)
		p.Rate, p.MaxWorkers, p.Duration, p.GiveUp = Rate{}, 4, time.Minute, 3*time.Second
		hits, e, err := run(t, t.Context(), p)
		if _, ok := errors.AsType[*LostError](err); !ok || e.Sending > 1100*time.Millisecond {
			t.Errorf("%v after %s; want it lost at once", err, e.Sending)
		}
		failed := 0
		for _, h := range hits {
			if h.Failed() {
				failed++
			}
		}
		if failed > 50 {
			t.Errorf("%d refusals were counted", failed)
		}
	})
}

func TestTimeoutsAreNoBoxThatIsGone(t *testing.T) {
	w := lostWatch{giveUp: time.Second, answered: time.Now()}
	for _, text := range []string{
		`Get "http://a/": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`,
		"dial tcp 127.0.0.1:8080: socket: too many open files", "connect: cannot assign requested address",
	} {
		for range 10 {
			if w.lost(&Result{Error: text, Timestamp: time.Now().Add(time.Hour)}) {
				t.Fatalf("%q is taken for a box that is gone", text)
			}
		}
	}
}
