//go:build e2e

package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// load finds how many requests a second `devbox load` carries, and how many
// vegeta does with the same options, in turn against one service.
func (s *subject) load(b *testing.B) {
	const workers, rounds, lasts = 32, 7, 4 * time.Second
	host := s.Service(b, "load", s.image, 0, map[string]string{"min-scale": "1", "max-scale": "1"})
	s.pod(b, "load")
	ours := func() time.Duration {
		out, code := s.Run("load", "load", "--rate", "0", "--max-workers", fmt.Sprint(workers), "--duration", lasts.String(), "-o", "json")
		var report struct{ Vegeta vegeta.Metrics }
		if err := json.NewDecoder(strings.NewReader(out)).Decode(&report); err != nil || code != 0 {
			b.Fatalf("devbox load ends with %d (%v):\n%s", code, err, out)
		}
		return each(b, report.Vegeta)
	}
	theirs := func() time.Duration {
		target := vegeta.Target{Method: http.MethodGet, URL: s.Gateway + "/", Header: http.Header{"Host": {host}}}
		attacker := vegeta.NewAttacker(vegeta.MaxWorkers(workers), vegeta.Redirects(vegeta.NoFollow))
		var metrics vegeta.Metrics
		for r := range attacker.Attack(vegeta.NewStaticTargeter(target), vegeta.Rate{}, lasts, "") {
			metrics.Add(r)
		}
		metrics.Close()
		return each(b, metrics)
	}
	var a, v []time.Duration
	for range rounds {
		a, v = append(a, ours()), append(v, theirs())
	}
	r := ratio(median(v), median(a))
	b.ReportMetric(r, "x/vegeta")
	note(b, row{
		what:     fmt.Sprintf("the most requests a second by `devbox load --rate 0`, %d workers, median of %d times %s", workers, rounds, lasts),
		measured: perSecond(median(a)), against: "by vegeta, in turn with it: " + perSecond(median(v)), ratio: fmt.Sprintf("%.2f", r), goal: "0.95",
	})
}

// each is one request's share of the time, where all of them had an answer.
func each(b *testing.B, m vegeta.Metrics) time.Duration {
	b.Helper()
	if m.Success != 1 {
		b.Fatalf("%.2f%% were answered: %v", m.Success*100, m.Errors)
	}
	return time.Duration(float64(time.Second) / m.Throughput)
}
