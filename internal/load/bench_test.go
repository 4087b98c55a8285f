package load

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// BenchmarkMost finds how many requests a second this package carries, with
// all that it keeps of them, and how many vegeta does that encodes its results,
// in turn against one server:
//
//	go test -run '^$' -bench Most -benchtime 1x ./internal/load
func BenchmarkMost(b *testing.B) {
	const workers, rounds, lasts = 32, 15, 400 * time.Millisecond
	gateway := serve(b, func(w http.ResponseWriter, r *http.Request) {
		if r.Header[TimingHeader] != nil {
			w.Header()["Server-Timing"] = []string{`held;dur=0.00, pod;dur=1.23;desc="hello-00001-deployment-zfbjb"`}
		}
		_, _ = io.WriteString(w, "Hello World!\n")
	})
	p := Plan{Gateway: gateway, Duration: lasts, MaxWorkers: workers, Timeout: 30 * time.Second, Targets: Timed(get("hello.default.example.com"))}
	ours := func() float64 {
		recorder := NewRecorder(io.Discard)
		e, err := Run(b.Context(), p, recorder.Observe)
		if err != nil {
			b.Fatal(err)
		}
		return recorder.Report(p, e, NewTimeline(), nil).Vegeta.Throughput
	}
	theirs := func() float64 {
		var metrics vegeta.Metrics
		encode := vegeta.NewEncoder(io.Discard)
		attacker := vegeta.NewAttacker(vegeta.MaxWorkers(workers))
		target := vegeta.NewStaticTargeter(vegeta.Target{Method: http.MethodGet, URL: "http://" + gateway + "/", Header: http.Header{"Host": {"hello.default.example.com"}}})
		for r := range attacker.Attack(target, vegeta.Rate{}, lasts, "") {
			metrics.Add(r)
			if err := encode(r); err != nil {
				b.Fatal(err)
			}
		}
		metrics.Close()
		return metrics.Throughput
	}
	for b.Loop() {
		var a, v []float64
		for range rounds {
			a, v = append(a, ours()), append(v, theirs())
		}
		slices.Sort(a)
		slices.Sort(v)
		b.ReportMetric(a[rounds/2], "requests/s")
		b.ReportMetric(v[rounds/2], "vegeta/s")
		b.ReportMetric(a[rounds/2]/v[rounds/2], "x/vegeta")
		b.Logf("ours %.0f, vegeta's %.0f, medians of %d rounds in turn", a[rounds/2], v[rounds/2], rounds)
	}
}
