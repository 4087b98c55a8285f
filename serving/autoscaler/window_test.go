package autoscaler

import (
	"testing"
	"time"
)

// at is a moment n seconds into the day the windows' tests happen on.
func at(n int) time.Time { return time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC) }

func TestWindow(t *testing.T) {
	type sample struct {
		second int
		value  float64
	}
	run := func(from, to int, value float64) (samples []sample) {
		for s := from; s <= to; s++ {
			samples = append(samples, sample{s, value})
		}
		return samples
	}
	tests := map[string]struct {
		samples []sample
		now     int
		want    float64 // over a window of 10 s
		short   float64 // over its last 3 s
	}{
		"no samples":                              {nil, 100, 0, 0},
		"it counts from the first sample":         {run(1, 2, 6), 2, 6, 6},
		"this second counts when it has a sample": {run(1, 10, 6), 10, 6, 6},
		"and does not before":                     {run(1, 10, 6), 11, 6, 6},
		"silence is zero":                         {run(1, 5, 6), 11, 3, 0},
		"old samples drop out":                    {append(run(1, 10, 6), run(11, 15, 0)...), 15, 3, 0},
		"silence of a window is zero":             {run(1, 10, 6), 21, 0, 0},
		"and begins it anew":                      {append(run(1, 10, 6), sample{30, 9}), 30, 9, 9},
		"a shorter silence does not":              {append(run(1, 10, 10), sample{15, 10}), 15, 6, 10.0 / 3},
		"samples of one second add up":            {[]sample{{1, 2}, {1, 3}}, 1, 5, 5},
		"a clock set back does not lose them":     {[]sample{{5, 2}, {3, 3}}, 5, 5, 5},
		"adding up leaves nothing behind":         {run(1, 10, 0.1), 10, 0.1, 0.1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWindow(10 * time.Second)
			for _, s := range tt.samples {
				w.record(at(s.second), s.value)
			}
			if got := w.average(at(tt.now), 10*time.Second); got != rounded(tt.want) {
				t.Errorf("average %v, want %v", got, tt.want)
			}
			if got := w.average(at(tt.now), 3*time.Second); got != rounded(tt.short) {
				t.Errorf("average of the last three seconds %v, want %v", got, tt.short)
			}
		})
	}
}

func TestWeightedWindow(t *testing.T) {
	w := newWindow(60 * time.Second)
	if got := w.weighted(at(0), time.Minute); got != 0 {
		t.Errorf("%v without a sample", got)
	}
	for s := range 60 {
		w.record(at(s), 10)
	}
	if got := w.weighted(at(59), time.Minute); got < 9.99 || got > 10 {
		t.Errorf("%v of a constant 10", got)
	}
	before := w.average(at(59), time.Minute)
	w.record(at(60), 100)
	rise, linear := w.weighted(at(60), time.Minute)-10, w.average(at(60), time.Minute)-before
	if rise < 10*linear {
		t.Errorf("a peak moves it by %v, want much more than the linear %v", rise, linear)
	}
	// The newest of ten seconds weighs 1 - 0.0001^(1/10), which is 0.6.
	short := newWindow(10 * time.Second)
	short.record(at(1), 1)
	if got := short.weighted(at(1), 10*time.Second); got != 0.601893 {
		t.Errorf("the newest second weighs %v", got)
	}
}

func TestWindowResized(t *testing.T) {
	for _, span := range []int{5, 10, 20} {
		w := newWindow(10 * time.Second)
		w.resize(time.Duration(span) * time.Second) // while empty
		for s := 1; s <= 10; s++ {
			w.record(at(s), float64(s))
		}
		for _, to := range []int{30, 4} {
			w.resize(time.Duration(to) * time.Second)
			if got := w.average(at(10), 4*time.Second); got != 8.5 { // of 7, 8, 9, 10
				t.Errorf("from %d to %d seconds: %v", span, to, got)
			}
		}
	}
}
