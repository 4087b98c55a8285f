package autoscaler

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// Observation is what is known about a revision at one moment.
type Observation struct {
	Now time.Time
	// Known says whether anybody counts requests. Without, the other numbers
	// about requests mean nothing.
	Known bool
	// Stable and Panic are the Spec's metric over its two windows.
	Stable, Panic float64
	// InFlight is the number of requests in flight or held.
	InFlight int
	// Ready is the number of pods that answer, Pods of all there are.
	Ready, Pods int32
	// Reachable says whether requests can come: a route leads to the
	// revision, or will as soon as it is ready.
	Reachable bool
	// Started says whether the revision has ever had its initial scale.
	Started bool
}

// State is what Decide remembers about a revision. The zero State is that of
// one it has not seen.
type State struct {
	phase   phase
	since   time.Time // of phase
	started bool      // had its initial scale once
	want    int32

	panicked time.Time // last time it was over the threshold; zero: calm
	peak     int32     // most pods wanted in this panic
	votes    []vote    // of the scale-down delay, largest and oldest first
}

// vote is a number of pods that was enough at some moment.
type vote struct {
	at   time.Time
	want int32
}

// Decision is how many pods a revision should have.
type Decision struct {
	Want   int32
	Reason string // in words, with the numbers it rests on

	Panicking     bool
	Stable, Panic float64
	// ExcessBurst is how many more requests than the target burst capacity
	// the pods that answer could take now; negative is a lack.
	ExcessBurst int32
}

// Decide says how many pods the revision of spec should have, from what it
// decided before and what is observed now.
func Decide(spec Spec, s State, o Observation) (State, Decision) {
	if s.phase == "" {
		s = begin(spec, o)
	}
	d := &deciding{spec: spec, o: o, s: s}
	switch {
	case !o.Reachable && o.InFlight == 0:
		d.leave()
	case !o.Known:
		d.say("kept: nobody counts requests at the moment")
		d.s.want = d.bounded(d.s.want)
	default:
		n := d.needed()
		n = d.delayed(n)
		n = d.bounded(n)
		d.s.want = d.settled(n)
	}
	return d.s, Decision{
		Want:        d.s.want,
		Reason:      strings.Join(d.why, ", "),
		Panicking:   !d.s.panicked.IsZero(),
		Stable:      o.Stable,
		Panic:       o.Panic,
		ExcessBurst: excessBurst(spec, o),
	}
}

// begin is the State of a revision seen for the first time: a new one, or
// one that an autoscaler before this one looked after. The latter's pods are
// kept, by a panic, until there are samples to judge them by.
func begin(spec Spec, o Observation) State {
	s := State{since: o.Now, want: o.Pods, started: o.Started || spec.InitialScale == 0}
	if !s.started {
		s.want = max(s.want, spec.InitialScale)
	}
	if o.Ready > 1 {
		s.panicked, s.peak = o.Now, o.Ready
	}
	switch {
	case o.Ready > 0:
		s.phase = active
	case s.want > 0:
		s.phase = activating
	default:
		s.phase = inactive
	}
	return s
}

// deciding is one call of Decide.
type deciding struct {
	spec Spec
	o    Observation
	s    State
	why  []string
}

func (d *deciding) say(format string, args ...any) {
	d.why = append(d.why, fmt.Sprintf(format, args...))
}

// needed is the heart of the algorithm: as many pods as the stable window
// asks for, or the panic window where that is in a panic.
func (d *deciding) needed() int32 {
	ready := max(1, float64(d.o.Ready))
	stable := math.Ceil(d.o.Stable / d.spec.Target)
	panicky := math.Ceil(d.o.Panic / d.spec.Target)
	switch {
	case stable > 0:
		d.say("needs %d: %s", pods(stable), d.measured(d.o.Stable, d.spec.StableWindow))
	case d.o.InFlight > 0:
		stable = 1 // somebody waits, whatever the averages say
		d.say("needs 1: %d in flight right now", d.o.InFlight)
	default:
		d.say("nothing in %v", d.spec.StableWindow)
	}
	d.alarm(panicky/ready >= d.spec.PanicThreshold)

	want := d.limited(stable, ready)
	if d.s.panicked.IsZero() {
		return d.rated(pods(stable), want)
	}
	if p := d.limited(panicky, ready); p > want {
		want = p
		d.why = nil
		d.say("panics at %d: %s", pods(panicky), d.measured(d.o.Panic, d.spec.PanicWindow()))
		d.rated(pods(panicky), want)
	} else if want < pods(stable) {
		d.rated(pods(stable), want)
	}
	if want < d.s.peak {
		d.say("not below %d in a panic", d.s.peak)
	}
	d.s.peak = max(d.s.peak, want)
	return d.s.peak
}

// alarm begins, prolongs or ends a panic.
func (d *deciding) alarm(over bool) {
	switch {
	case over:
		d.s.panicked = d.o.Now
	case !d.s.panicked.IsZero() && d.s.panicked.Add(d.spec.StableWindow).Before(d.o.Now):
		d.s.panicked, d.s.peak = time.Time{}, 0
	}
}

// limited is need within what may change at one decision, and with the
// activation scale.
func (d *deciding) limited(need, ready float64) int32 {
	low := 0.0
	if d.o.Reachable {
		low = math.Floor(ready / d.spec.MaxScaleDownRate)
	}
	n := min(max(need, low), math.Ceil(ready*d.spec.MaxScaleUpRate))
	if need > 0 {
		n = max(n, float64(d.spec.ActivationScale))
	}
	return pods(n)
}

// rated says why want is not need.
func (d *deciding) rated(need, want int32) int32 {
	switch {
	case want < need:
		d.say("up to %d at once (max-scale-up-rate)", want)
	case want > need && want == d.spec.ActivationScale:
		d.say("at least %d or none (activation-scale)", want)
	case want > need:
		d.say("down to %d at once (max-scale-down-rate)", want)
	}
	return want
}

// delayed is the largest number that was wanted within the scale-down delay.
func (d *deciding) delayed(n int32) int32 {
	if d.spec.ScaleDownDelay == 0 || !d.o.Reachable {
		d.s.votes = nil
		return n
	}
	// A vote matters as long as none after it is as large.
	var votes []vote
	for _, v := range d.s.votes {
		if v.want > n && d.o.Now.Sub(v.at) < d.spec.ScaleDownDelay {
			votes = append(votes, v)
		}
	}
	d.s.votes = append(votes, vote{d.o.Now, n})
	if largest := d.s.votes[0].want; largest > n {
		d.say("still %d for %v (scale-down-delay)", largest, d.spec.ScaleDownDelay)
		return largest
	}
	return n
}

// bounded is n within the revision's bounds. Where they cross, the maximum
// counts.
func (d *deciding) bounded(n int32) int32 {
	if least := d.least(); n < least {
		n = least
		if n > d.spec.MinScale {
			d.say("starts with %d (initial-scale)", n)
		} else {
			d.say("at least %d (min-scale)", n)
		}
	}
	if d.spec.MaxScale > 0 && n > d.spec.MaxScale {
		n = d.spec.MaxScale
		d.say("at most %d (max-scale)", n)
	}
	return n
}

// least is the minimum: nobody's, where no request can come, and the initial
// scale until that was reached once. An initial scale of 1 needs no minimum:
// what has begun to start is left to it.
func (d *deciding) least() int32 {
	switch {
	case !d.o.Reachable:
		return 0
	case !d.s.started && d.spec.InitialScale > 1:
		return max(d.spec.MinScale, d.spec.InitialScale)
	}
	return d.spec.MinScale
}

// measured says what an average is of.
func (d *deciding) measured(value float64, over time.Duration) string {
	unit := "in flight"
	if d.spec.Metric == RPS {
		unit = "requests/s"
	}
	return fmt.Sprintf("%.4g %s over %v, %.4g to a pod", value, unit, over, d.spec.Target)
}

func excessBurst(spec Spec, o Observation) int32 {
	switch {
	case spec.TargetBurstCapacity == 0:
		return 0
	case spec.TargetBurstCapacity < 0:
		return -1
	}
	excess := math.Floor(float64(o.Ready)*spec.Total - spec.TargetBurstCapacity - o.Panic)
	return int32(min(max(excess, math.MinInt32), math.MaxInt32))
}

// pods is a number of pods that fits its type.
func pods(n float64) int32 { return int32(min(n, math.MaxInt32)) }
