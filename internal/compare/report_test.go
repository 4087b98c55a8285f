package compare

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/internal/load"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

var update = flag.Bool("update", false, "write the golden file again")

// played is a comparison of two rounds in which the serving stack is slower by
// 400 µs, a sidecar by 700, and Istio with a sidecar has lost a request.
func played() *Report {
	r := &run{
		cfg: Config{
			Service: &servingv1.Service{}, Image: "localhost:5001/hello@sha256:1", Rounds: 2,
			Duration: 5 * time.Second, Rate: load.Rate{Freq: 50, Per: time.Second},
		},
		results: map[string]*Result{}, rounds: 2,
	}
	r.cfg.Service.Name = "hello"
	for _, v := range Variants {
		result := &Result{Variant: v.Name, Serving: v.Serving, Sidecar: v.Sidecar, Host: v.host("example.com")}
		r.results[v.Name] = result
		if !v.Serving {
			result.Idle = Idle{Pods: 1, Memory: 2 << 20}
		}
		for round := range r.rounds {
			result.First = append(result.First, firstOf(v, round))
			result.add(turnOf(v, round))
		}
	}
	out := r.report()
	out.Took = 211 * time.Second
	return out
}

func firstOf(v Variant, round int) []Request {
	var all []Request
	for n := range firsts {
		q := Request{Lookup: 50 * time.Microsecond, Connect: 200 * time.Microsecond, StartTransfer: 2 * time.Millisecond, Total: 2100 * time.Microsecond, Status: 200}
		if v.Serving && n == 0 {
			q.StartTransfer, q.Total = time.Duration(150+20*round)*time.Millisecond, time.Duration(151+20*round)*time.Millisecond
		}
		all = append(all, q)
	}
	return all
}

func turnOf(v Variant, round int) *measured {
	base, m := time.Millisecond, &measured{pods: 1, taken: map[string]Usage{}}
	on := func(name string, shared bool, cpu time.Duration, memory uint64) {
		m.way = append(m.way, place{name, shared, v.Name + name})
		m.taken[name] = Usage{CPU: cpu, Memory: memory << 20}
	}
	on("gateway", true, time.Second, 28)
	if v.Serving {
		base += 400 * time.Microsecond
		on("activator", true, 2*time.Second, 16)
		on("queue-proxy", false, time.Second, 5)
	}
	if v.Sidecar {
		base += 700 * time.Microsecond
		on("istio-proxy", false, time.Second, 31)
	}
	on("user-container", false, 500*time.Millisecond, 6)
	for i := range 250 {
		m.rated.answered = append(m.rated.answered, base+time.Duration(i)*time.Microsecond)
	}
	m.fast = loaded{answered: make([]time.Duration, 5000+100*round), took: 5 * time.Second}
	if v.Name == "istio-sidecar" && round == 0 {
		m.fast.failed = 1
	}
	return m
}

func TestText(t *testing.T) {
	var got bytes.Buffer
	if err := played().WriteText(&got); err != nil {
		t.Fatal(err)
	}
	const file = "testdata/report.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s differs (write it again with -update and read the diff):\n%s", file, diff)
	}
}

// TestReport is what is computed of the turns.
func TestReport(t *testing.T) {
	r := played()
	serving, istio := r.variant("serving"), r.variant("istio")
	if serving.Cold == nil || *serving.Cold != 161*time.Millisecond || istio.Cold != nil {
		t.Errorf("cold starts are %v and %v, want the median of 151 and 171 ms, and none", serving.Cold, istio.Cold)
	}
	if serving.PerSecond != 1010 || serving.Requests != 2*250+5000+5100 || serving.Success != 1 {
		t.Errorf("%.1f a second, %d requests, %.3f", serving.PerSecond, serving.Requests, serving.Success)
	}
	if got := serving.of("activator").CPU; got != 4*time.Second/10100 {
		t.Errorf("a request takes %s of the activator", got)
	}
	if own := serving.own(); own != 11<<20 {
		t.Errorf("a pod has %d bytes, want those of queue-proxy and the container", own)
	}
	d := r.difference("istio", "serving")
	if d.By != 400*time.Microsecond || !d.Beyond || d.Size != "large" {
		t.Errorf("the difference is %+v", d)
	}
	if failed := r.variant("istio-sidecar").Failed; failed != 1 {
		t.Errorf("%d failed, want 1", failed)
	}
}

// TestNoDifference is that of two that are the same.
func TestNoDifference(t *testing.T) {
	r := played()
	d := differ(r.variant("istio"), r.variant("istio"))
	if d.Beyond || d.Effect != 0.5 || slower(d) != "no time beyond the noise" {
		t.Errorf("the difference is %+v: %s", d, slower(d))
	}
}

// TestAgain is that a report is the same when it was kept and read, since the
// page shows it from a file.
func TestAgain(t *testing.T) {
	before := played()
	data, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	after := new(Report)
	if err := json.Unmarshal(data, after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before.Table(), after.Table()); diff != "" {
		t.Errorf("another table:\n%s", diff)
	}
	if !strings.Contains(string(data), `"50th":`) || !strings.Contains(string(data), `"starttransfer":`) {
		t.Error("the names in JSON are others")
	}
}

func TestMedian(t *testing.T) {
	for want, of := range map[float64][]float64{0: nil, 2: {3, 1, 2}, 2.5: {4, 1, 3, 2}} {
		if got := median(of); got != want {
			t.Errorf("the median of %v is %v, want %v", of, got, want)
		}
	}
}
