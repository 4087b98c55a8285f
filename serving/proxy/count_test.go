package proxy

import (
	"testing"
	"time"
)

func TestCounter(t *testing.T) {
	// begin and end are in milliseconds; reports are made every second.
	type request struct{ begin, end int }
	for name, test := range map[string]struct {
		requests []request
		want     []Report
	}{
		"nothing": {
			want: []Report{{}},
		},
		"one for a quarter of the second": {
			requests: []request{{0, 250}},
			want:     []Report{{Concurrency: 0.25, Requests: 1}},
		},
		"two at once, one into the next second": {
			requests: []request{{0, 1500}, {500, 1000}},
			want:     []Report{{Concurrency: 1.5, Requests: 2, InFlight: 1}, {Concurrency: 0.5}},
		},
		"one that stays": {
			requests: []request{{500, 9000}},
			want:     []Report{{Concurrency: 0.5, Requests: 1, InFlight: 1}, {Concurrency: 1, InFlight: 1}, {Concurrency: 1, InFlight: 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c Counter
			start := time.Unix(1000, 0)
			at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
			c.Report(start)
			for second, want := range test.want {
				for ms := second * 1000; ms <= second*1000+1000; ms += 250 {
					for _, r := range test.requests {
						if r.begin == ms && ms < second*1000+1000 {
							c.Begin(at(ms))
						}
						if r.end == ms && ms > second*1000 {
							c.End(at(ms))
						}
					}
				}
				if got := c.Report(at(second*1000 + 1000)); got != want {
					t.Errorf("second %d: got %+v, want %+v", second, got, want)
				}
			}
		})
	}
}

// TestCounterTakesTimesOutOfOrder has two requests that read the clock in one
// order and come to the lock in the other.
func TestCounterTakesTimesOutOfOrder(t *testing.T) {
	var c Counter
	start := time.Unix(1000, 0)
	c.Begin(start)
	c.Begin(start.Add(2 * time.Millisecond))
	c.End(start.Add(time.Millisecond))
	c.End(start.Add(4 * time.Millisecond))
	if got := c.Totals(start.Add(4 * time.Millisecond)); got != (Totals{Requests: 2, Busy: 4 * time.Millisecond}) {
		t.Errorf("got %+v", got)
	}
	if got := c.Report(start.Add(4 * time.Millisecond)); got.InFlight != 0 || got.Requests != 2 || got.Concurrency != 1 {
		t.Errorf("got %+v", got)
	}
}
