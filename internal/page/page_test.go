package page

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/history"
)

// TestStreamOfAPageWithoutItsBox has the real server and file of events: the
// page says that the box is away, tells of edits all the same, and its end is
// clean.
func TestStreamOfAPageWithoutItsBox(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	kept := history.Record(path)
	kept.Show(event.Event{Time: time.Now(), Kind: event.BuildFailed, Service: "hello", Error: "main.go:3:1: undefined: <b>nobody</b>"})
	defer kept.Close()

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{Find: func() (Box, error) { return Box{}, errors.New("there is no box x") }, Events: path, Token: token})
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()

	said := readStream(t, l.Addr().String())
	said.await("box", func(data string) bool { return strings.Contains(data, `"here":false,"why":"there is no box x"`) })
	said.await("edits", func(data string) bool { return strings.Contains(data, `"outcome":"does not compile"`) })
	said.await("history", func(data string) bool { return strings.Contains(data, `"services":{}`) })
	kept.Show(event.Event{Time: time.Now(), Kind: event.RevisionLive, Service: "hello", Revision: "hello-00002"})
	said.await("edits", func(data string) bool { return strings.Contains(data, `"hello-00002","outcome":"live"`) })

	stop()
	if err := <-served; err != nil {
		t.Errorf("serving ended with %v", err)
	}
}

type said struct {
	t     *testing.T
	lines *bufio.Scanner
	last  map[string]string
}

func readStream(t *testing.T, address string) *said {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/api/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(TokenHeader, token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream; charset=utf-8" {
		t.Errorf("the stream is %s", kind)
	}
	return &said{t, bufio.NewScanner(resp.Body), map[string]string{}}
}

// await reads until a part is as it should be, which it may be already.
func (s *said) await(name string, is func(data string) bool) {
	s.t.Helper()
	event := ""
	for !is(s.last[name]) {
		if !s.lines.Scan() {
			s.t.Fatalf("the stream ended; %s was %s", name, s.last[name])
		}
		if of, ok := strings.CutPrefix(s.lines.Text(), "event: "); ok {
			event = of
		}
		if data, ok := strings.CutPrefix(s.lines.Text(), "data: "); ok {
			s.last[event] = data
		}
	}
}

func TestHubNeverWaits(t *testing.T) {
	h := newHub()
	h.put("box", 1)
	now, news, leave := h.join()
	defer leave()
	if len(now) != 1 || string(now[0].data) != "1" {
		t.Errorf("a page that comes is told %v", now)
	}
	h.put("box", 1)
	if len(news) != 0 {
		t.Error("what is not new was told again")
	}
	for n := range waiting + 1 {
		h.tell("tick", n)
	}
	n := 0
	for range news {
		n++
	}
	if n != waiting {
		t.Errorf("a page that does not read was told %d things, want %d and then sent away", n, waiting)
	}
	h.tell("tick", 0)
}

func TestEdits(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)).UTC() }
	var all edits
	for _, e := range []event.Event{
		{Time: at(0), Kind: event.BoxReady},
		{Time: at(10), Kind: event.BuildStarted, Service: "a"},
		{Time: at(500), Kind: event.BuildDone, Service: "a", Duration: 490 * time.Millisecond, Phases: []event.Phase{{Name: "build", Duration: 480 * time.Millisecond}}},
		{Time: at(510), Kind: event.RevisionNew, Service: "a", Revision: "a-1"},
		{Time: at(700), Kind: event.RevisionLive, Service: "a", Revision: "a-1", Duration: 690 * time.Millisecond, Phases: []event.Phase{{Name: "build", Duration: time.Millisecond}}},
		{Time: at(1000), Kind: event.Changed, Service: "a", Files: []string{"main.go:3"}},
		{Time: at(1001), Kind: event.BuildStarted, Service: "a"},
		{Time: at(1400), Kind: event.BuildFailed, Service: "a", Error: "main.go:3: no", Duration: 399 * time.Millisecond},
		{Time: at(2000), Kind: event.Changed, Service: "a", Files: []string{"main.go:4"}},
		{Time: at(2100), Kind: event.Changed, Service: "a", Files: []string{"main.go:5"}},
		{Time: at(2200), Kind: event.RevisionNew, Service: "a", Revision: "a-2"},
		{Time: at(2500), Kind: event.RevisionFailed, Service: "a", Revision: "a-2", Error: "exited", Log: []string{"panic"}},
		{Time: at(3000), Kind: event.Changed, Service: "b"},
		{Time: at(3100), Kind: "kind.of.a.later.devbox", Service: "b"},
		{Time: at(4000), Kind: event.BoxReady},
	} {
		all.take(e)
	}
	var got []string
	for _, e := range all.last() {
		got = append(got, fmt.Sprintf("%d %s %s %q %s %v %s %v", e.ID, e.Service, e.Revision, e.Outcome, e.Duration, e.Files, e.Error, e.Log))
	}
	want := []string{
		`5 b  "stopped" 0s []  []`,
		`4 a a-2 "failed" 400ms [main.go:5] exited [panic]`,
		`3 a  "superseded" 0s [main.go:4]  []`,
		`2 a  "does not compile" 400ms [main.go:3] main.go:3: no []`,
		`1 a a-1 "live" 690ms []  []`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEditsAreBounded(t *testing.T) {
	var all edits
	for n := range 1000 {
		all.take(event.Event{Kind: event.Changed, Service: fmt.Sprint("s", n%7)})
		all.take(event.Event{Kind: event.RevisionLive, Service: fmt.Sprint("s", n%7), Revision: fmt.Sprint(n)})
		if len(all.all) > 2*mostEdits {
			t.Fatalf("%d edits are kept", len(all.all))
		}
	}
	last := all.last()
	if len(last) != mostEdits || last[0].Revision != "999" || last[0].ID != 1000 {
		t.Errorf("%d edits, the last is %+v", len(last), last[0])
	}
	for _, e := range last {
		if e.Outcome != live {
			t.Errorf("edit %d is %s", e.ID, e.Outcome)
		}
	}
}

// coldFamilies are the histograms of a revision after so many cold starts.
func coldFamilies(count uint64, sandbox, whole float64) map[string]*dto.MetricFamily {
	var metrics []*dto.Metric
	for phase, sum := range map[string]float64{"total": whole, "sandbox": sandbox, "created": float64(count)} {
		labels := []*dto.LabelPair{}
		for name, value := range map[string]string{"namespace_name": "default", "service_name": "a", "revision_name": "a-1", "phase": phase} {
			labels = append(labels, &dto.LabelPair{Name: &name, Value: &value})
		}
		metrics = append(metrics, &dto.Metric{Label: labels, Histogram: &dto.Histogram{SampleCount: &count, SampleSum: &sum}})
	}
	return map[string]*dto.MetricFamily{coldMetric: {Metric: metrics}}
}

func TestColdStarts(t *testing.T) {
	var c coldStarts
	at := time.UnixMilli(0)
	if c.take(at, coldFamilies(5, 500, 600)) {
		t.Error("what was before the first look is no news")
	}
	if c.take(at, coldFamilies(5, 500, 600)) {
		t.Error("nothing is news")
	}
	c.take(at, coldFamilies(6, 590, 720))
	c.take(at, coldFamilies(8, 790, 1000))
	c.take(at, coldFamilies(1, 70, 80)) // a new process
	var got []string
	for _, s := range c.last() {
		got = append(got, fmt.Sprintln(s.Service, s.Revision, s.Count, s.Phases))
	}
	want := []string{
		"default/a a-1 1 [{total 80} {created 1} {sandbox 70}]\n",
		"default/a a-1 2 [{total 140} {created 1} {sandbox 100}]\n",
		"default/a a-1 1 [{total 120} {created 1} {sandbox 90}]\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for n := range uint64(100) {
		c.take(at, coldFamilies(n+2, float64(n), float64(n)))
	}
	if n := len(c.last()); n != mostCold {
		t.Errorf("%d cold starts are kept", n)
	}
}

func TestNumbersThatAreNone(t *testing.T) {
	got, err := json.Marshal(numbers([]float64{1, math.NaN(), math.Inf(1), 1234567.891, 1e-9}))
	if err != nil {
		t.Fatal(err)
	}
	if want := `[1,null,null,1.23457e+06,1e-09]`; string(got) != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
