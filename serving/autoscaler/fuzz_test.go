package autoscaler

import (
	"math"
	"reflect"
	"testing"
	"time"
)

// bytes is fuzzed input read as numbers; it ends in zeros.
type bytes []byte

func (b *bytes) next() int {
	if len(*b) == 0 {
		return 0
	}
	n := int((*b)[0])
	*b = (*b)[1:]
	return n
}

func (b *bytes) seconds() time.Duration { return time.Duration(b.next()) * time.Second }

// amount is a number from a thousandth to some millions.
func (b *bytes) amount() float64 { return float64(b.next()) * math.Pow(10, float64(b.next()%8-3)) }

// spec is one that ParseConfig and Config.Spec may return.
func (b *bytes) spec() Spec {
	s := DefaultConfig().base
	s.Total = max(minTarget, b.amount())
	s.Target = max(minTarget, s.Total*float64(1+b.next()%100)/100)
	s.MinScale, s.MaxScale = int32(b.next()%20), int32(b.next()%40)
	if s.MaxScale > 0 {
		s.MinScale = min(s.MinScale, s.MaxScale)
	}
	s.InitialScale, s.ActivationScale = int32(b.next()%10), int32(b.next()%10)
	s.ScaleToZero = b.next()%8 != 0
	s.Retention, s.ScaleDownDelay, s.ActivationDeadline = b.seconds(), b.seconds(), b.seconds()
	s.StableWindow = max(minWindow, b.seconds())
	s.PanicWindowPercent = float64(1 + b.next()%100)
	s.PanicThreshold = 1.1 + float64(b.next()%90)/10
	s.MaxScaleUpRate = 1.01 + b.amount()
	s.MaxScaleDownRate = 1.01 + b.amount()
	s.TargetBurstCapacity = b.amount() - 1
	return s
}

func (b *bytes) observation(now time.Time, want int32) Observation {
	o := Observation{Now: now, Known: b.next()%8 != 0, Reachable: b.next()%8 != 0, Started: b.next()%2 == 0}
	o.Pods = max(0, want+int32(b.next()%5-2))
	o.Ready = min(o.Pods, int32(b.next()))
	if o.Known {
		o.Stable, o.Panic, o.InFlight = b.amount(), b.amount(), b.next()%3
	}
	return o
}

// FuzzDecide makes decisions about anything and checks what must hold for
// each, and that they come to rest when the load does.
func FuzzDecide(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("a revision with some load and then none, over a while of time"))
	f.Add([]byte{100, 3, 70, 0, 10, 1, 0, 1, 0, 0, 60, 60, 10, 9, 100, 6, 2, 3, 200, 4, 1, 1, 1, 2, 3, 200, 5, 250, 5, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes(data)
		spec := in.spec()
		now := at(0)
		var state State
		var d Decision
		var o Observation
		for len(in) > 0 {
			o = in.observation(now, d.Want)
			state, d = decideTwice(t, spec, state, o)
			check(t, spec, o, d)
			now = now.Add(in.seconds())
		}
		if !o.Now.IsZero() {
			rest(t, spec, state, o, d)
		}
	})
}

// decideTwice checks that Decide is a function of its arguments.
func decideTwice(t *testing.T, spec Spec, s State, o Observation) (State, Decision) {
	before := s
	before.votes = append([]vote(nil), s.votes...)
	state, d := Decide(spec, s, o)
	again, same := Decide(spec, before, o)
	if !reflect.DeepEqual(state, again) || d != same {
		t.Fatalf("it decided %v and then %v", d, same)
	}
	return state, d
}

func check(t *testing.T, spec Spec, o Observation, d Decision) {
	switch {
	case d.Want < 0, spec.MaxScale > 0 && d.Want > spec.MaxScale:
		t.Errorf("%d is out of bounds", d.Want)
	case o.Reachable && d.Want < spec.MinScale:
		t.Errorf("%d is below the minimum", d.Want)
	case o.InFlight > 0 && d.Want == 0:
		t.Error("none, with a request in flight")
	case o.Known && o.Reachable && !spec.ScaleToZero && d.Want == 0:
		t.Error("none, which is forbidden")
	case d.Reason == "":
		t.Error("no reason")
	}
	if t.Failed() {
		t.Fatalf("%+v\n%+v\n%+v", spec, o, d)
	}
}

// rest keeps the load as it is and lets the pods follow. The number may rise
// to what the load needs, and then fall to it, however slowly it is allowed
// to; nothing else.
func rest(t *testing.T, spec Spec, state State, o Observation, d Decision) {
	o.Panic = o.Stable // as they are under a load that does not change
	settled := o.Now.Add(2*spec.StableWindow + spec.Retention + spec.ActivationDeadline + spec.ScaleDownDelay)
	turns, rising := 0, false
	for o.Now.Before(settled.Add(10 * time.Minute)) {
		o.Now = o.Now.Add(tick)
		o.Ready, o.Pods = d.Want, d.Want
		before := d.Want
		state, d = Decide(spec, state, o)
		check(t, spec, o, d)
		if d.Want == before || o.Now.Before(settled) {
			continue
		}
		if up := d.Want > before; up != rising {
			turns++
			rising = up
		}
	}
	if turns > 2 {
		t.Fatalf("it changes direction %d times under a constant load: %+v\n%+v\n%+v", turns, spec, o, d)
	}
}
