package panel

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// PromQL is the query as Prometheus has it.
func (q Query) PromQL(s Scope) string {
	switch q.Func {
	case Rate, Increase:
		return q.sum(q.window(string(q.Func), q.suffix(), q.matchers(s)))
	case Quantile:
		return fmt.Sprintf("histogram_quantile(%s, %s)", number(q.Quantile), q.sum(q.counted("_bucket", q.matchers(s)), "le"))
	case Mean:
		return q.sum(q.counted("_sum", q.matchers(s))) + " / " + q.sum(q.counted("_count", q.matchers(s)))
	case Ratio:
		// No series of Match is 0 of all, and not nothing.
		all := q.sum(q.counted("", metric(q.Metric).within(s)))
		return fmt.Sprintf("(%s or 0 * %s) / %s", q.sum(q.counted("", q.matchers(s))), all, all)
	}
	return q.sum(q.selector(q.suffix(), q.matchers(s)))
}

// sum adds up what does not differ in By and in more.
func (q Query) sum(of string, more ...string) string {
	by := strings.Join(with(more, q.By...), ", ")
	if by == "" {
		return "sum(" + of + ")"
	}
	return "sum by (" + by + ") (" + of + ")"
}

// suffix is of the series that Value, Rate and Increase are taken of.
func (q Query) suffix() string {
	if metric(q.Metric).Type == Histogram {
		return "_count"
	}
	return ""
}

// counted is a counter's rate, or the counter as it stands.
func (q Query) counted(suffix string, by []Matcher) string {
	if q.Over == 0 {
		return q.selector(suffix, by)
	}
	return q.window("rate", suffix, by)
}

func (q Query) window(function, suffix string, by []Matcher) string {
	return function + "(" + q.selector(suffix, by) + "[" + promDuration(q.Over) + "])"
}

func (q Query) selector(suffix string, by []Matcher) string {
	said := make([]string, len(by))
	for i, m := range by {
		said[i] = m.Label + string(m.Op) + strconv.Quote(m.Value)
	}
	if len(said) == 0 {
		return q.Metric + suffix
	}
	return q.Metric + suffix + "{" + strings.Join(said, ", ") + "}"
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// promDuration writes whole seconds, and whole minutes where it can.
func promDuration(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

// Short writes a number in six significant digits, which a chart cannot tell
// from more.
func Short(f float64) string { return strconv.FormatFloat(f, 'g', 6, 64) }
