package autoscaler

import (
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/serving/stream"
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

// FuzzLoad is FuzzDecide with what Decide is fed by: samples of a second, in
// windows, by either algorithm, pods that take their time, and activators that
// come and go. It checks the same, and that the number does not flap under a load that stays.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("some load and then none, and then a burst that is over as soon as it came"))
	f.Add([]byte{100, 3, 70, 0, 10, 1, 0, 1, 0, 0, 60, 60, 10, 9, 100, 6, 2, 3, 200, 4, 1, 1, 1, 2, 3, 200, 5, 250, 5, 2})
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes(data)
		l := &loaded{t: t, d: newDecider(), now: at(0)}
		spec := in.spec()
		spec.Total = float64(1 + in.next()%100) // pods as many as one can wait for
		spec.Target = spec.Total * float64(1+in.next()%100) / 100
		if in.next()%2 == 0 {
			spec.Aggregation = WeightedExponential
		}
		if in.next()%4 == 0 {
			spec.Metric = RPS
		}
		l.d.track(Revision{Spec: spec, Reachable: true})
		for len(in) > 0 {
			if in.next()%16 == 0 {
				l.d.gone("a")
			}
			l.d.revision.Reachable = in.next()%8 != 0
			l.lasts(in.next()%100, in.next(), time.Duration(in.next()%90)*time.Second, in.next()%4)
		}
		// The same load for ever: the way there may lead up and down again, as
		// windows fill and a panic ends, and then to one side only, however
		// slowly that is allowed to be.
		l.d.revision.Reachable = true
		load := l.busy
		l.lasts(load, load, 3*spec.StableWindow+spec.Retention+spec.ScaleDownDelay+spec.ActivationDeadline+5*time.Minute, 1)
		l.ups, l.downs = 0, 0
		l.lasts(load, load, 30*time.Minute, 1)
		if l.ups > 0 && l.downs > 0 {
			t.Fatalf("it goes up %d times and down %d in half an hour of %d in flight: %+v", l.ups, l.downs, load, spec)
		}
	})
}

// loaded is a revision under load.
type loaded struct {
	t          *testing.T
	d          *decider
	now        time.Time
	busy       int
	ups, downs int         // changes of what is wanted
	due        []time.Time // when each pod answers
}

// lasts lets time pass with this many requests in flight and arriving.
func (l *loaded) lasts(busy, rate int, long time.Duration, start int) {
	l.busy = busy
	for end := l.now.Add(long); l.now.Before(end); {
		l.now = l.now.Add(time.Second)
		if busy > 0 || rate > 0 || len(l.d.inFlight) > 0 {
			l.d.count("a", &stream.Stats{Concurrency: float64(busy), Requests: float64(rate), InFlight: busy}, l.now)
		}
		if l.now.Unix()%2 == 0 || busy > 0 && l.d.last.Want == 0 {
			l.decide(start)
		}
	}
}

func (l *loaded) decide(start int) {
	r := &l.d.revision
	r.Pods, r.Ready = int32(len(l.due)), 0
	for _, due := range l.due {
		if !l.now.Before(due) {
			r.Ready++
		}
	}
	o := l.d.observe(l.now, true)
	before := l.d.last.Want
	l.d.decide(l.now, true)
	check(l.t, r.Spec, o, l.d.last)
	want := int(l.d.last.Want)
	switch {
	case l.d.last.Want > before:
		l.ups++
	case l.d.last.Want < before:
		l.downs++
	}
	for len(l.due) < want {
		l.due = append(l.due, l.now.Add(time.Duration(start)*time.Second))
	}
	l.due = l.due[:want]
}

func TestExcessBurst(t *testing.T) {
	for name, test := range map[string]struct {
		capacity float64
		ready    int32
		panic    float64
		want     int32
	}{
		"none asked for":    {0, 1, 50, 0},
		"never enough":      {-1, 1000, 0, -1},
		"a lack":            {211, 1, 20, -131},
		"enough":            {211, 4, 20, 169},
		"a part of a pod":   {0.5, 1, 0, 99},
		"more than a count": {1e300, 1, 0, math.MinInt32},
	} {
		spec := DefaultConfig().base
		spec.Total, spec.Target, spec.TargetBurstCapacity = 100, 70, test.capacity
		_, d := Decide(spec, State{}, Observation{Now: at(0), Known: true, Reachable: true, Ready: test.ready, Pods: test.ready, Panic: test.panic})
		if d.ExcessBurst != test.want {
			t.Errorf("%s: %d, want %d", name, d.ExcessBurst, test.want)
		}
	}
}
