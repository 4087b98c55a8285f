//go:build e2e

package chaos

import (
	"math"
	"strings"
	"testing"
	"time"
)

// burst sends 200 requests at once to a service with no pod, whose pods take
// one at a time and are ten at most.
func (w *world) burst(t *testing.T) {
	const requests, pods = 200, 10
	host := w.service(t, "burst", 1, map[string]string{"max-scale": "10", "window": "6s"})
	w.Zero(t, "burst")
	count := w.Count(t, "burst")
	all := w.Caller(host, "/?sleep=100").Burst(requests)
	t.Logf("%s; pods: %s", all, count)
	if failed := all.Failed(); len(failed) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(failed), requests, failed.List())
	}
	if most := count.Most(); most > pods {
		t.Errorf("there were %d pods at once; want at most %d", most, pods)
	}
	for _, r := range all {
		if r.OK() && !strings.HasSuffix(r.Body, " 1") {
			t.Errorf("a pod has had more than one request in hand: %q", r.Body)
		}
	}
}

// steady sends 50 requests a second to a service with no pod.
func (w *world) steady(t *testing.T) {
	const (
		rate        = 50
		lasts       = time.Minute // the benchmark Serving/Steady goes on for five
		sleep       = 100 * time.Millisecond
		target      = 2 * 0.7 // in flight to a pod: the annotation, to the default utilisation
		atMost      = 10
		window      = 20 * time.Second
		undisturbed = 10 * time.Second
	)
	host := w.service(t, "steady", 0, map[string]string{"target": "2", "max-scale": "10", "window": window.String()})
	w.Zero(t, "steady")
	count := w.Count(t, "steady")
	caller := w.Caller(host, "/?sleep=100")
	traffic := caller.Start(rate)
	time.Sleep(lasts)
	settled, end := count.Now(), time.Now()
	all := traffic.Stop()
	traffic = caller.Start(rate)
	time.Sleep(undisturbed)
	warm := traffic.Stop()
	t.Logf("from zero, %s: %s", lasts, all)
	t.Logf("warm, %s: %s; p95 from zero against warm: %.2f", undisturbed, warm, float64(all.Percentile(95))/float64(warm.Percentile(95)))
	t.Logf("pods: %s", count)

	if failed := append(all.Failed(), warm.Failed()...); len(failed) > 0 {
		t.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	if most := count.Most(); most > atMost {
		t.Errorf("there were %d pods at once; want at most %d", most, atMost)
	}
	// What the formula of docs/autoscaling.md says of the last window: at least
	// for the time that the service takes, at most for that which clients saw.
	took := all.Since(end.Add(-window)).Mean()
	least, most := wanted(rate*sleep.Seconds()/target), wanted(rate*took.Seconds()/target)
	t.Logf("at the end %d pods; the formula wants %d for %s a request, and %d for %s", settled, least, sleep, most, took.Round(time.Millisecond))
	if settled < least || settled > most {
		t.Errorf("there were %d pods at the end; want %d to %d", settled, least, most)
	}
}

func wanted(pods float64) int { return int(math.Ceil(pods)) }
