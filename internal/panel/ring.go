package panel

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
)

// Ring holds the last looks at a box's metrics. Every series has a slot for
// each look, so its memory is looks x series x 8 bytes and no more. Safe for
// concurrent use.
type Ring struct {
	most int // series

	mu      sync.RWMutex
	times   []time.Time // of the looks; a ring, as are the values of each series
	looks   int         // that there have been
	series  map[string]*series
	dropped int
}

// series is one series; what a look did not have is not a number.
type series struct {
	metric string // with _bucket, _sum or _count
	labels map[string]string
	values []float64
	seen   int // the number of the look that had it last
}

// NewRing returns a ring of that many looks and at most that many series. More
// are dropped, and counted.
func NewRing(looks, mostSeries int) *Ring {
	return &Ring{most: mostSeries, times: make([]time.Time, looks), series: map[string]*series{}}
}

// Dropped is how many series the last look had too many.
func (r *Ring) Dropped() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.dropped
}

// Len is how many series there are.
func (r *Ring) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.series)
}

// Add takes a look at the metrics of [Metrics] that are the box's own. Looks
// come in the order of their times.
func (r *Ring) Add(at time.Time, families map[string]*dto.MetricFamily) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slot := r.looks % len(r.times)
	r.times[slot], r.dropped = at, 0
	for _, s := range r.series {
		s.values[slot] = math.NaN()
	}
	for _, m := range Metrics {
		if family := families[m.Name]; family != nil && m.Source == Box {
			for _, one := range family.GetMetric() {
				r.take(m, one)
			}
		}
	}
	r.looks++
	maps.DeleteFunc(r.series, func(_ string, s *series) bool { return r.looks-s.seen > len(r.times) })
}

// take puts what a metric says into the slot of this look.
func (r *Ring) take(m Metric, one *dto.Metric) {
	labels := make(map[string]string, len(one.GetLabel())+1)
	for _, l := range one.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	switch h := one.GetHistogram(); {
	case m.Type == Histogram && h != nil:
		for _, b := range h.GetBucket() {
			r.put(m, "_bucket", withLe(labels, b.GetUpperBound()), float64(b.GetCumulativeCount()))
		}
		if n := len(h.GetBucket()); n == 0 || !math.IsInf(h.GetBucket()[n-1].GetUpperBound(), 1) {
			r.put(m, "_bucket", withLe(labels, math.Inf(1)), float64(h.GetSampleCount()))
		}
		r.put(m, "_sum", labels, h.GetSampleSum())
		r.put(m, "_count", labels, float64(h.GetSampleCount()))
	case m.Type == Counter && one.GetCounter() != nil:
		r.put(m, "", labels, one.GetCounter().GetValue())
	case m.Type == Gauge && one.GetGauge() != nil:
		r.put(m, "", labels, one.GetGauge().GetValue())
	case one.GetUntyped() != nil:
		r.put(m, "", labels, one.GetUntyped().GetValue())
	}
}

func withLe(labels map[string]string, upper float64) map[string]string {
	labels = maps.Clone(labels)
	labels["le"] = "+Inf"
	if !math.IsInf(upper, 1) {
		labels["le"] = number(upper)
	}
	return labels
}

// put writes a value. A counter that no look before has had began at 0 after
// the last one: Prometheus, which does not know that, would miss what it
// counted first, and so an only error.
func (r *Ring) put(m Metric, suffix string, labels map[string]string, value float64) {
	key := identity(m.Name+suffix, labels)
	s := r.series[key]
	if s == nil {
		if len(r.series) >= r.most {
			r.dropped++
			return
		}
		s = &series{metric: m.Name + suffix, labels: labels, values: slices.Repeat([]float64{math.NaN()}, len(r.times))}
		r.series[key] = s
		if m.Type != Gauge && r.looks > 0 {
			s.values[(r.looks-1)%len(r.times)] = 0
		}
	}
	s.values[r.looks%len(r.times)], s.seen = value, r.looks
}

// identity is a text of its own for each series.
func identity(name string, labels map[string]string) string {
	var b strings.Builder
	b.WriteString(name)
	for _, l := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString("," + l + "=" + strconv.Quote(labels[l]))
	}
	return b.String()
}

// oldest is the number of the first look that the ring still has.
func (r *Ring) oldest() int { return max(0, r.looks-len(r.times)) }

// upTo is the number of the last look at or before t, or -1.
func (r *Ring) upTo(t time.Time) int {
	for i := r.looks - 1; i >= r.oldest(); i-- {
		if !r.time(i).After(t) {
			return i
		}
	}
	return -1
}

func (r *Ring) time(look int) time.Time { return r.times[look%len(r.times)] }

func (s *series) at(look int) float64 { return s.values[look%len(s.values)] }
