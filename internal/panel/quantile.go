package panel

import (
	"math"
	"slices"
	"strconv"
	"time"
)

// bucket is how many observations were at most upper.
type bucket struct{ upper, count float64 }

// quantiles is the query's quantile of each group of buckets.
func (r *Ring) quantiles(q Query, s Scope, times []time.Time) map[string]*group {
	type histogram struct {
		labels map[string]string
		uppers []float64
		counts []*group
	}
	histograms := map[string]*histogram{}
	for _, g := range r.counted(q, "_bucket", q.matchers(s), times, "le") {
		upper, err := strconv.ParseFloat(g.labels["le"], 64)
		if err != nil {
			continue
		}
		delete(g.labels, "le")
		key := identity("", g.labels)
		if histograms[key] == nil {
			histograms[key] = &histogram{labels: g.labels}
		}
		h := histograms[key]
		h.uppers, h.counts = append(h.uppers, upper), append(h.counts, g)
	}
	out := map[string]*group{}
	for key, h := range histograms {
		values := make([]float64, len(times))
		for i := range times {
			buckets := make([]bucket, 0, len(h.uppers))
			for b, upper := range h.uppers {
				if count := h.counts[b].values[i]; !math.IsNaN(count) {
					buckets = append(buckets, bucket{upper, count})
				}
			}
			values[i] = quantile(q.Quantile, buckets)
		}
		out[key] = &group{h.labels, values}
	}
	return out
}

// quantile is Prometheus' histogram_quantile of classic buckets: within the
// bucket that holds the rank, observations lie evenly; in the last one, which
// has no end, they lie at its begin. Without observations, or without a last
// bucket, it is not a number.
func quantile(q float64, buckets []bucket) float64 {
	slices.SortFunc(buckets, func(a, b bucket) int {
		if a.upper < b.upper {
			return -1
		}
		return 1
	})
	n := len(buckets)
	if n < 2 || !math.IsInf(buckets[n-1].upper, 1) {
		return math.NaN()
	}
	for i := 1; i < n; i++ { // rates differ in their last digits
		buckets[i].count = max(buckets[i].count, buckets[i-1].count)
	}
	all := buckets[n-1].count
	if all == 0 {
		return math.NaN()
	}
	rank := q * all
	at := slices.IndexFunc(buckets, func(b bucket) bool { return b.count >= rank })
	if at < 0 || at == n-1 {
		return buckets[n-2].upper
	}
	low, below := 0.0, 0.0
	if at > 0 {
		low, below = buckets[at-1].upper, buckets[at-1].count
	} else if buckets[0].upper <= 0 {
		return buckets[0].upper
	}
	inside := buckets[at].count - below
	if inside == 0 { // rank 0, and an empty bucket
		return low
	}
	return low + (buckets[at].upper-low)*(rank-below)/inside
}
