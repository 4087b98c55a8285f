package load

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Result is one request and what came of it.
type Result struct {
	At     time.Time // when it was due
	Took   time.Duration
	Status int
	Body   string // without the white space around it
	Err    error
}

// OK says whether it was answered with a 200.
func (r Result) OK() bool { return r.Err == nil && r.Status == http.StatusOK }

func (r Result) String() string {
	return fmt.Sprintf("%s after %s: status %d %q %v", r.At.Format("05.000"), r.Took.Round(time.Millisecond), r.Status, r.Body, r.Err)
}

// Results are those of many requests.
type Results []Result

// Failed are those without a 200.
func (r Results) Failed() Results {
	return slices.DeleteFunc(slices.Clone(r), Result.OK)
}

// Slower are those that took longer.
func (r Results) Slower(than time.Duration) Results {
	return slices.DeleteFunc(slices.Clone(r), func(one Result) bool { return one.Took <= than })
}

// Since are those that were due at a moment or later.
func (r Results) Since(t time.Time) Results {
	return slices.DeleteFunc(slices.Clone(r), func(one Result) bool { return one.At.Before(t) })
}

// AnsweredBy are those that had their answer, or none, at a moment.
func (r Results) AnsweredBy(t time.Time) Results {
	return slices.DeleteFunc(slices.Clone(r), func(one Result) bool { return one.At.Add(one.Took).After(t) })
}

// Before are those that were due before a moment.
func (r Results) Before(t time.Time) Results {
	return slices.DeleteFunc(slices.Clone(r), func(one Result) bool { return !one.At.Before(t) })
}

// InFlight counts the requests that were under way at a moment.
func (r Results) InFlight(t time.Time) int {
	n := 0
	for _, one := range r {
		if one.At.Before(t) && one.At.Add(one.Took).After(t) {
			n++
		}
	}
	return n
}

// FirstEnd is when the first of them ended.
func (r Results) FirstEnd() time.Time {
	var first time.Time
	for _, one := range r {
		if end := one.At.Add(one.Took); first.IsZero() || end.Before(first) {
			first = end
		}
	}
	return first
}

// Percentile is a share of the times, in hundredths.
func (r Results) Percentile(p int) time.Duration {
	took := make([]time.Duration, 0, len(r))
	for _, one := range r {
		took = append(took, one.Took)
	}
	slices.Sort(took)
	if len(took) == 0 {
		return 0
	}
	return took[(len(took)-1)*p/100]
}

func (r Results) String() string {
	ms := func(p int) time.Duration { return r.Percentile(p).Round(100 * time.Microsecond) }
	return fmt.Sprintf("%d requests, %d failed, p50 %s, p95 %s, p99 %s, max %s", len(r), len(r.Failed()), ms(50), ms(95), ms(99), ms(100))
}

// Mean is how long one took.
func (r Results) Mean() time.Duration {
	var sum time.Duration
	for _, one := range r {
		sum += one.Took
	}
	return sum / time.Duration(max(1, len(r)))
}

// List is the first few of them, a line each.
func (r Results) List() string {
	var b strings.Builder
	for i, one := range r {
		if i == 10 {
			fmt.Fprintf(&b, "  and %d more\n", len(r)-i)
			break
		}
		fmt.Fprintf(&b, "  %s\n", one)
	}
	return b.String()
}
