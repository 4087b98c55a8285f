package load

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Comparison says whether two revisions differ. Both met the same machine, in
// turns. What began while a request of either waited for a pod to start, or
// in the seconds after, is left out, and so are failed requests: they say
// something else.
type Comparison struct {
	A Side `json:"a"`
	B Side `json:"b"`
	// Test is the name of the test; U, Z and P are what it says.
	Test string  `json:"test"`
	U    float64 `json:"u"`
	Z    float64 `json:"z"`
	P    float64 `json:"p"` // two-sided
	// Effect is the chance that a request to B takes longer than one to A,
	// counting ties half: Vargha and Delaney's A. 0.5 is no effect.
	Effect float64 `json:"effect"`
	// Differ says that P is below Level.
	Differ bool `json:"differ"`
}

// Side is one of the two.
type Side struct {
	Revision string        `json:"revision"`
	Requests int           `json:"requests"` // that are compared
	Failed   int           `json:"failed"`
	LeftOut  int           `json:"leftOut"` // beside a cold start
	Mean     time.Duration `json:"mean"`
	P50      time.Duration `json:"50th"`
	P95      time.Duration `json:"95th"`
	P99      time.Duration `json:"99th"`

	values []time.Duration
}

// Level is the chance of a difference by noise alone that is accepted.
const Level = 0.01

const (
	testName = "Mann-Whitney U, two-sided, normal approximation with ties"
	fewSides = 20 // requests of each side, below which the approximation says little
)

// compare compares lane 0 to lane 1.
func compare(samples []Sample) *Comparison {
	cold := coldSpans(samples)
	return weigh(side(samples, 0, cold), side(samples, 1, cold))
}

// Compare compares the latencies of answered requests to two that met the same
// machine in turns, whatever they are.
func Compare(a, b []time.Duration) *Comparison {
	return weigh(sideOf(slices.Clone(a)), sideOf(slices.Clone(b)))
}

func weigh(a, b Side) *Comparison {
	c := &Comparison{Test: testName, A: a, B: b, P: 1, Effect: 0.5}
	if min(c.A.Requests, c.B.Requests) >= fewSides {
		c.U, c.Z, c.P = mannWhitney(c.A.values, c.B.values)
		c.Effect = c.U / (float64(c.A.Requests) * float64(c.B.Requests))
		c.Differ = c.P < Level
	}
	return c
}

// sideOf is a side of values, which it puts in order.
func sideOf(values []time.Duration) Side {
	slices.Sort(values)
	var sum time.Duration
	for _, d := range values {
		sum += d
	}
	return Side{
		Requests: len(values), Mean: sum / time.Duration(max(1, len(values))),
		P50: quantile(values, 0.50), P95: quantile(values, 0.95), P99: quantile(values, 0.99), values: values,
	}
}

// settles is how long a pod that has just started is not what it will be.
const settles = 3 * time.Second

// coldSpan is a time in which a pod started.
type coldSpan struct{ from, to time.Duration }

// coldSpans are in order, and none touches another.
func coldSpans(samples []Sample) []coldSpan {
	var all, merged []coldSpan
	for _, s := range samples {
		if s.Cold {
			all = append(all, coldSpan{s.At, s.End() + settles})
		}
	}
	slices.SortFunc(all, func(a, b coldSpan) int { return cmp.Compare(a.from, b.from) })
	for _, s := range all {
		if n := len(merged); n > 0 && s.from <= merged[n-1].to {
			merged[n-1].to = max(merged[n-1].to, s.to)
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

func within(at time.Duration, spans []coldSpan) bool {
	i, _ := slices.BinarySearchFunc(spans, at, func(s coldSpan, at time.Duration) int { return cmp.Compare(s.to, at) })
	return i < len(spans) && spans[i].from <= at
}

func side(samples []Sample, lane uint8, cold []coldSpan) Side {
	var values []time.Duration
	failed, leftOut := 0, 0
	for _, one := range samples {
		switch {
		case one.Lane != lane:
		case !one.OK():
			failed++
		case within(one.At, cold):
			leftOut++
		default:
			values = append(values, one.Latency)
		}
	}
	s := sideOf(values)
	s.Failed, s.LeftOut = failed, leftOut
	return s
}

// mannWhitney tests whether two samples come of one distribution. U counts the
// pairs in which the value of b is the larger, ties half. For large samples U
// is normal, with a variance that ties make smaller; the result is corrected
// for continuity.
//
// H. B. Mann, D. R. Whitney: On a test of whether one of two random variables
// is stochastically larger than the other, Annals of Mathematical Statistics
// 18 (1947) 50-60; for ties, E. L. Lehmann: Nonparametrics (1975), section 1.4.
func mannWhitney(a, b []time.Duration) (u, z, p float64) {
	type value struct {
		d   time.Duration
		ofB bool
	}
	all := make([]value, 0, len(a)+len(b))
	for _, d := range a {
		all = append(all, value{d, false})
	}
	for _, d := range b {
		all = append(all, value{d, true})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.d, y.d) })
	var ranks, ties float64 // the sum of b's ranks; of t^3 - t over groups of equal values
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].d == all[i].d {
			j++
		}
		t := float64(j - i)
		ties += t*t*t - t
		for _, v := range all[i:j] {
			if v.ofB {
				ranks += float64(i+j+1) / 2 // the mean of the ranks i+1 to j
			}
		}
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	u = ranks - m*(m+1)/2
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance <= 0 {
		return u, 0, 1 // all values are equal
	}
	off := u - n*m/2
	z = math.Copysign(max(0, math.Abs(off)-0.5), off) / math.Sqrt(variance)
	return u, z, math.Erfc(math.Abs(z) / math.Sqrt2)
}

// Size is the effect in a word, negligible, small, medium or large, by the
// bounds of Vargha and Delaney: A critique and improvement of the CL common
// language effect size statistics, Journal of Educational and Behavioral
// Statistics 25 (2000) 101-132.
func (c *Comparison) Size() string {
	switch off := math.Abs(c.Effect - 0.5); {
	case off < 0.06:
		return "negligible"
	case off < 0.14:
		return "small"
	case off < 0.21:
		return "medium"
	}
	return "large"
}

// line is the verdict.
func (c *Comparison) line() string {
	if c == nil {
		return ""
	}
	test := fmt.Sprintf("%s: p = %.2g, effect A = %.2f, %s", c.Test, c.P, c.Effect, c.Size())
	switch {
	case min(c.A.Requests, c.B.Requests) < fewSides:
		return fmt.Sprintf("too few requests to tell: at least %d of each must have been answered by a pod that was there", fewSides)
	case !c.Differ:
		return fmt.Sprintf("no difference beyond the noise (%s)", test)
	}
	slower, than, off := c.B, c.A, c.Effect
	if c.Effect < 0.5 {
		slower, than, off = c.A, c.B, 1-c.Effect
	}
	return fmt.Sprintf("%s is slower than %s, in %.0f of 100 pairs, median %+.1f%% (%s)",
		slower.Revision, than.Revision, off*100, 100*(float64(slower.P50)/float64(max(1, than.P50))-1), test)
}

// table has both sides.
func (c *Comparison) table() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "REVISION\tREQUESTS\tFAILED\tLEFT OUT\tMEAN\t50\t95\t99")
	for _, s := range []Side{c.A, c.B} {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\n", s.Revision, s.Requests, s.Failed, s.LeftOut, round(s.Mean), round(s.P50), round(s.P95), round(s.P99))
	}
	_ = table.Flush() // into memory
	return b.String()
}
