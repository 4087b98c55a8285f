package panel

import (
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

// fresh is how old the last look may be for its values to be those of now. A
// box that is away leaves a gap, and not a line.
const fresh = 15 * time.Second

// Series is one line of a panel. Where there is no value it is not a number.
type Series struct {
	Name   string
	Labels map[string]string
	Values []float64 // one for each step
}

// Evaluate is the query's value at each of the times, ascending, as Prometheus
// would have it from the same samples, but for [Ring.Add]'s word about a
// counter's begin. Series are in the order of their labels.
func (r *Ring) Evaluate(q Query, s Scope, times []time.Time) []Series {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if q.Func == Quantile {
		return named(q, r.quantiles(q, s, times))
	}
	if q.Func == Mean {
		return named(q, divided(r.counted(q, "_sum", q.matchers(s), times), r.counted(q, "_count", q.matchers(s), times)))
	}
	if q.Func == Ratio {
		all := r.counted(q, "", metric(q.Metric).within(s), times)
		return named(q, divided(orZero(r.counted(q, "", q.matchers(s), times), all), all))
	}
	return named(q, r.counted(q, q.suffix(), q.matchers(s), times))
}

// group is the sum of the series that are one in the labels that are kept.
type group struct {
	labels map[string]string
	values []float64
}

// counted adds up the series of a name, by the query's labels and by more.
func (r *Ring) counted(q Query, suffix string, by []Matcher, times []time.Time, more ...string) map[string]*group {
	keep := with(more, q.By...)
	ask, windows := compiled(by), r.windows(q, times)
	groups := map[string]*group{}
	for _, s := range r.series {
		if s.metric != q.Metric+suffix || !ask.match(s.labels) {
			continue
		}
		labels := map[string]string{}
		for _, l := range keep {
			labels[l] = s.labels[l]
		}
		key := identity("", labels)
		g := groups[key]
		if g == nil {
			g = &group{labels, slices.Repeat([]float64{math.NaN()}, len(times))}
			groups[key] = g
		}
		for i, w := range windows {
			g.add(i, r.value(q, s, w))
		}
	}
	return groups
}

// add adds a value; what is not a number is no value.
func (g *group) add(i int, v float64) {
	switch {
	case math.IsNaN(v):
	case math.IsNaN(g.values[i]):
		g.values[i] = v
	default:
		g.values[i] += v
	}
}

// window is what a query looks at for its value at one time.
type window struct {
	begin, end  time.Time
	first, last int // numbers of the looks within; last is -1 where the ring has nothing fresh
}

func (r *Ring) windows(q Query, times []time.Time) []window {
	out := make([]window, len(times))
	for i, t := range times {
		w := window{begin: t.Add(-q.Over), end: t, last: r.upTo(t)}
		if w.last >= 0 && t.Sub(r.time(w.last)) > fresh {
			w.last = -1
		}
		w.first = max(r.upTo(w.begin)+1, r.oldest())
		out[i] = w
	}
	return out
}

// value is one series in a window, before anything is added up.
func (r *Ring) value(q Query, s *series, w window) float64 {
	if w.last < 0 {
		return math.NaN()
	}
	if q.Func == Value || q.Over == 0 {
		return s.at(w.last)
	}
	rate := r.rate(s, w)
	if q.Func == Increase {
		return rate * q.Over.Seconds()
	}
	return rate
}

// rate is a counter's growth each second in the window, taken to the window's
// ends as Prometheus does it: extrapolatedRate in its promql/functions.go. A
// value below the one before is that of a new process, which began at 0. Two
// values are needed.
func (r *Ring) rate(s *series, w window) float64 {
	var first, final time.Time
	var start, before, grown float64
	n := 0
	for look := w.first; look <= w.last; look++ {
		v := s.at(look)
		if math.IsNaN(v) {
			continue
		}
		switch {
		case n == 0:
			first, start = r.time(look), v
		case v < before:
			grown += v
		default:
			grown += v - before
		}
		before, final = v, r.time(look)
		n++
	}
	if n < 2 {
		return math.NaN()
	}
	sampled := final.Sub(first).Seconds()
	return grown * (sampled + beyond(sampled, n, first.Sub(w.begin), w.end.Sub(final), start, grown)) / sampled / w.end.Sub(w.begin).Seconds()
}

// beyond is how many seconds before the first sample and after the last one
// the series is taken to have gone on: to the window's end where that is near,
// half an interval where it is not, and never to where it would be below 0.
func beyond(sampled float64, n int, before, after time.Duration, start, grown float64) float64 {
	interval := sampled / float64(n-1)
	reach := func(d time.Duration) float64 {
		if d.Seconds() >= 1.1*interval {
			return interval / 2
		}
		return d.Seconds()
	}
	toStart := reach(before)
	if grown > 0 && start >= 0 {
		toStart = min(toStart, sampled*start/grown)
	}
	return toStart + reach(after)
}

// divided is a by b, where both are.
func divided(a, b map[string]*group) map[string]*group {
	for key, g := range a {
		for i := range g.values {
			if b[key] == nil {
				g.values[i] = math.NaN()
				continue
			}
			g.values[i] /= b[key].values[i]
		}
	}
	return a
}

// orZero is a, and 0 where only all has a value.
func orZero(a, all map[string]*group) map[string]*group {
	for key, whole := range all {
		if a[key] == nil {
			a[key] = &group{whole.labels, slices.Repeat([]float64{math.NaN()}, len(whole.values))}
		}
		for i, v := range whole.values {
			if math.IsNaN(a[key].values[i]) && !math.IsNaN(v) {
				a[key].values[i] = 0
			}
		}
	}
	return a
}

// named sorts the groups and gives each its legend.
func named(q Query, groups map[string]*group) []Series {
	out := make([]Series, 0, len(groups))
	for _, key := range slices.Sorted(maps.Keys(groups)) {
		g := groups[key]
		out = append(out, Series{q.Name(g.labels), g.labels, g.values})
	}
	return out
}

// Name is the legend of the series with these labels.
func (q Query) Name(labels map[string]string) string {
	name := q.Legend
	for label, value := range labels {
		name = strings.ReplaceAll(name, "{{"+label+"}}", value)
	}
	return name
}

// question is matchers ready to be asked.
type question []func(map[string]string) bool

// compiled makes the expressions once. One that is none matches nothing.
func compiled(by []Matcher) question {
	out := make(question, 0, len(by))
	for _, m := range by {
		matches := func(v string) bool { return v == m.Value }
		if m.Op == Like || m.Op == NotAlike {
			expression, err := regexp.Compile("^(?s:" + m.Value + ")$")
			matches = func(v string) bool { return err == nil && expression.MatchString(v) }
		}
		want := m.Op == Is || m.Op == Like
		out = append(out, func(labels map[string]string) bool { return matches(labels[m.Label]) == want })
	}
	return out
}

func (q question) match(labels map[string]string) bool {
	for _, matches := range q {
		if !matches(labels) {
			return false
		}
	}
	return true
}
