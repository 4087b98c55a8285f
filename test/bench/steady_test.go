//go:build e2e

package bench

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// steady sends 50 requests a second for five minutes to a service with no pod,
// and for one more to the pods it then has.
func (s *subject) steady(b *testing.B) {
	const (
		rate   = 50
		lasts  = 5 * time.Minute
		sleep  = 25 * time.Millisecond
		target = 0.7 // in flight to a pod: the annotation, 1, to the default utilisation of 70 %
	)
	host := s.Service(b, "steady", s.image, 0, map[string]string{"target": "1", "max-scale": "10"})
	s.Zero(b, "steady")
	count := s.Count(b, "steady")
	caller := s.Caller(host, "/?sleep="+fmt.Sprint(sleep.Milliseconds()))
	traffic := caller.Start(rate)
	time.Sleep(lasts)
	pods, end := count.Now(), time.Now()
	all := traffic.Stop()
	traffic = caller.Start(rate)
	time.Sleep(time.Minute)
	warm := traffic.Stop()
	if failed := append(all.Failed(), warm.Failed()...); len(failed) > 0 {
		b.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	r := ratio(all.Percentile(95), warm.Percentile(95))
	b.ReportMetric(r, "x/warm-p95")
	seen := all.Since(end.Add(-time.Minute)).Mean()
	wanted := func(each time.Duration) float64 { return math.Ceil(rate * each.Seconds() / target) }
	note(b, row{
		what:     fmt.Sprintf("%d requests a second of %s each for %s from zero pods, p95", rate, sleep, lasts),
		measured: fmt.Sprintf("%s (p50 %s, p99 %s, worst %s)", milliseconds(all.Percentile(95)), milliseconds(all.Percentile(50)), milliseconds(all.Percentile(99)), round(all.Percentile(100))),
		against:  "the same in the minute after: " + milliseconds(warm.Percentile(95)), ratio: fmt.Sprintf("%.2f", r), goal: "2",
	}, row{
		what: "answered of them", measured: fmt.Sprintf("%d of %d", len(all)-len(all.Failed()), len(all)), against: "the figure this work began with: 99.84 %", goal: "100 %",
	}, row{
		what: "pods over time", measured: count.String(),
		against: fmt.Sprintf("at the end %d; the formula wants %.0f for %s a request, and %.0f for the %s that clients saw", pods, wanted(sleep), sleep, wanted(seen), milliseconds(seen)),
	})
}
