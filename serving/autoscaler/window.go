package autoscaler

import (
	"math"
	"time"
)

// window keeps the samples of a revision's last seconds, one bucket a second.
// A second in which nobody said anything was a second without requests: the
// activator speaks up every second while there are any.
type window struct {
	buckets     []float64 // a ring, by second modulo its length
	first, last int64     // seconds of the first and the last sample; 0 is none
}

func newWindow(span time.Duration) *window {
	return &window{buckets: make([]float64, seconds(span))}
}

func seconds(span time.Duration) int64 { return max(1, int64(span/time.Second)) }

func (w *window) bucket(second int64) *float64 {
	return &w.buckets[second%int64(len(w.buckets))]
}

// record adds value to now's bucket. Samples of several activators in one
// second add up.
func (w *window) record(now time.Time, value float64) {
	second := max(now.Unix(), w.last) // a clock set back does not undo seconds
	if second-w.last >= int64(len(w.buckets)) {
		clear(w.buckets)
		w.first, w.last = second, second
	}
	for w.last < second {
		w.last++
		*w.bucket(w.last) = 0
	}
	*w.bucket(second) += value
}

// span returns the seconds that count at now in a window of n buckets: up to
// the last one that is over or has a sample, and from the first sample on.
// After a silence of the whole window there are none.
func (w *window) span(now time.Time, n int64) (from, to int64) {
	n = min(n, int64(len(w.buckets)))
	to = max(w.last, now.Unix()-1)
	if w.last == 0 || to-w.last >= n {
		return 0, -1
	}
	return max(w.first, to-n+1), to
}

// sample is the value of one second of span.
func (w *window) sample(second int64) float64 {
	if second > w.last {
		return 0
	}
	return *w.bucket(second)
}

// average is the mean over the last over. A window that began later counts
// from its beginning, so a burst after a long silence shows at its height.
func (w *window) average(now time.Time, over time.Duration) float64 {
	from, to := w.span(now, seconds(over))
	if to < from {
		return 0
	}
	var sum float64
	for second := from; second <= to; second++ {
		sum += w.sample(second)
	}
	return rounded(sum / float64(to-from+1))
}

// weighted is the exponentially weighted mean over the last over. The weight
// of the oldest second is a ten-thousandth, but the newest weighs a fifth at
// least.
func (w *window) weighted(now time.Time, over time.Duration) float64 {
	n := seconds(over)
	from, to := w.span(now, n)
	alpha := max(0.2, 1-math.Pow(0.0001, 1/float64(n)))
	weight := alpha
	var sum float64
	for second := to; second >= from && second >= 0; second-- {
		sum += weight * w.sample(second)
		weight *= 1 - alpha
	}
	return rounded(sum)
}

// rounded drops what adding up floating point numbers leaves behind: 7.0 and
// a little is not a reason for another pod.
func rounded(f float64) float64 { return math.Round(f*1e6) / 1e6 }

// resize makes w a window over span and keeps the samples that fit.
func (w *window) resize(span time.Duration) {
	n := seconds(span)
	if n == int64(len(w.buckets)) {
		return
	}
	old := *w
	w.buckets = make([]float64, n)
	if old.last == 0 {
		return
	}
	kept := min(n, int64(len(old.buckets)))
	w.first = max(old.first, old.last-kept+1)
	for second := w.first; second <= w.last; second++ {
		*w.bucket(second) = old.sample(second)
	}
}
