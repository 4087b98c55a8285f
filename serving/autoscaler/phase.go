package autoscaler

// phase is where a revision stands between no pods and some.
type phase string

const (
	inactive   phase = "inactive"   // wants none, or has its last one retained
	activating phase = "activating" // wants some and has too few that answer
	active     phase = "active"
)

// leave takes away the pods of a revision that no request can reach.
func (d *deciding) leave() {
	d.say("no route leads here and nothing is in flight")
	d.s = State{phase: d.s.phase, since: d.s.since, started: d.s.started}
	d.enter(inactive)
}

// settled follows the revision from phase to phase, and lets it go to none
// only when it may.
func (d *deciding) settled(n int32) int32 {
	if n > 0 {
		d.follow()
		return n
	}
	if !d.spec.ScaleToZero {
		d.say("at least 1 (enable-scale-to-zero is false)")
		d.follow()
		return 1
	}
	if d.s.phase != inactive {
		d.follow()
	}
	idle := d.o.Now.Sub(d.s.since)
	switch d.s.phase {
	case activating:
		limit := d.spec.ActivationDeadline
		if limit == 0 || idle <= limit {
			d.say("starting")
			return max(1, d.s.want)
		}
		d.say("not started within %v, given up", limit)
		d.enter(inactive)
		return 0
	case active:
		if idle < d.spec.StableWindow {
			d.say("kept at 1: started less than %v ago", d.spec.StableWindow)
			return 1
		}
		d.enter(inactive)
		idle = 0
	}
	if idle < d.spec.Retention && d.s.want > 0 {
		d.say("the last pod stays for %v (scale-to-zero-pod-retention-period)", d.spec.Retention)
		return 1
	}
	return 0
}

// follow sets the phase of a revision that wants pods by those that answer.
func (d *deciding) follow() {
	need := max(1, d.least())
	if d.spec.MaxScale > 0 {
		need = min(need, d.spec.MaxScale)
	}
	if d.o.Ready < need {
		d.enter(activating)
		return
	}
	d.s.started = true
	d.enter(active)
}

func (d *deciding) enter(p phase) {
	if d.s.phase != p {
		d.s.phase, d.s.since = p, d.o.Now
	}
}
