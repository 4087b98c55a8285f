package node

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestSeries plays what a probe answers and writes down what comes of it:
// "+2s fails" is a failure that counts, "ready" and "unready" are turns.
func TestSeries(t *testing.T) {
	for name, c := range map[string]struct {
		probe corev1.Probe
		eager bool
		until time.Duration
		ok    func(at time.Duration) bool
		want  string
	}{
		"thresholds": {
			probe: corev1.Probe{PeriodSeconds: 10, SuccessThreshold: 2, FailureThreshold: 3}, until: 75 * time.Second,
			ok:   func(at time.Duration) bool { return at < 15*time.Second || at >= 60*time.Second },
			want: "10s ready; 20s fails; 30s fails; 40s fails; 40s unready; 50s fails; 50s unready; 1m10s ready",
		},
		"the delay": {
			probe: corev1.Probe{PeriodSeconds: 5, InitialDelaySeconds: 7}, until: 10 * time.Second,
			ok:   func(time.Duration) bool { return true },
			want: "7s ready",
		},
		"eager until it succeeds": {
			probe: corev1.Probe{PeriodSeconds: 10, FailureThreshold: 1}, eager: true, until: 25 * time.Second,
			ok:   func(at time.Duration) bool { return at >= 65*time.Millisecond && at < 20*time.Second },
			want: "70ms ready; 10.07s ready; 20.07s fails; 20.07s unready",
		},
		"eager and slow": {
			probe: corev1.Probe{PeriodSeconds: 1, FailureThreshold: 3}, eager: true, until: 4 * time.Second,
			ok:   func(at time.Duration) bool { return at >= 2600*time.Millisecond },
			want: "1s fails; 2s fails; 2.75s ready; 3.75s ready",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), c.until)
				defer cancel()
				var story []string
				tell := func(what string) { story = append(story, fmt.Sprint(time.Since(began), " ", what)) }
				series{
					probe: &c.probe, eager: c.eager,
					ask:   func(context.Context) (bool, string) { return c.ok(time.Since(began)), "" },
					fails: func(string) { tell("fails") },
					turns: func(ok bool) bool {
						tell(map[bool]string{true: "ready", false: "unready"}[ok])
						return true
					},
				}.run(ctx)
				if got := strings.Join(story, "; "); got != c.want {
					t.Errorf("got  %s\nwant %s", got, c.want)
				}
			})
		})
	}
}
