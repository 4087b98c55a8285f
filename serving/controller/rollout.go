package controller

import (
	"encoding/json"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// rolloutAnnotation, in a Route's status, has its rollouts that go on, so that a
// controller that starts goes on with them.
const rolloutAnnotation = "devbox.dev/rollout"

// firstStep is what the first percent takes of the duration, and the shortest
// pause. Knative measures how long its gateway took to move it, and counts a
// second at least; a box's activator takes milliseconds.
const firstStep = time.Second

// rollout is how the traffic of one target stands that follows a Configuration,
// and how it goes on to the latest revision: as Knative has it, one percent
// first, and the rest in equal steps.
type rollout struct {
	Configuration string  `json:"configuration"`
	Shares        []share `json:"revisions"` // oldest first: the last one grows
	// Step is the percent of the route's traffic that moves at a time, Pause the
	// time between two steps, and Next when the next one is due.
	Step  int64           `json:"step"`
	Pause metav1.Duration `json:"pause"`
	Next  time.Time       `json:"next"`
}

// share is what one revision takes of a route's traffic.
type share struct {
	Revision string `json:"revision"`
	Percent  int64  `json:"percent"`
}

// goesOn says whether an older revision has some of the traffic still.
func (r rollout) goesOn() bool { return len(r.Shares) > 1 }

// advance is what r has come to now, where the target is to give percent of the
// route's traffic, two at least, to the latest revision, in the course of a
// duration. It moves by one step at most, however late it is asked. A first
// revision has all at once.
func (r rollout) advance(latest string, percent int64, over time.Duration, now time.Time) rollout {
	r.Shares = fit(r.Shares, percent)
	switch newest := len(r.Shares) - 1; {
	case newest < 0:
		r.Shares = []share{{latest, percent}}
	case r.Shares[newest].Revision != latest:
		r.begin(latest, percent, over, now)
	case r.goesOn() && !now.Before(r.Next):
		r.step(now)
	}
	return r
}

// fit are shares that have percent together: what there is more is the newest
// revision's, what there is less is the oldest's loss.
func fit(shares []share, percent int64) []share {
	shares = slices.Clone(shares)
	surplus := -percent
	for _, s := range shares {
		surplus += s.Percent
	}
	for i := range shares {
		lost := min(max(surplus, 0), shares[i].Percent)
		shares[i].Percent -= lost
		surplus -= lost
	}
	if len(shares) > 0 {
		shares[len(shares)-1].Percent -= surplus
	}
	return some(shares)
}

// begin gives the latest revision its first percent, which the newest one before
// it loses, and sets the pace. One that is on its way out already turns back
// with what it has.
func (r *rollout) begin(latest string, percent int64, over time.Duration, now time.Time) {
	first := share{latest, 0}
	if i := slices.IndexFunc(r.Shares, func(s share) bool { return s.Revision == latest }); i >= 0 {
		first = r.Shares[i]
		r.Shares = slices.Delete(r.Shares, i, i+1)
	}
	r.Shares = append(r.Shares, first)
	if first.Percent == 0 {
		r.move(1)
	}
	rest := percent - r.Shares[len(r.Shares)-1].Percent
	left := max(over-firstStep, time.Second)
	steps := max(min(int64(left/firstStep), rest), 1)
	r.Step = max((2*rest+steps)/(2*steps), 1) // rounded, as Knative does
	r.Pause = metav1.Duration{Duration: left / time.Duration(steps)}
	r.Next = now.Add(r.Pause.Duration).UTC()
}

// step moves the next part of the traffic.
func (r *rollout) step(now time.Time) {
	r.move(r.Step)
	r.Next = now.Add(r.Pause.Duration).UTC()
}

// move gives percent more to the latest revision. Of those before it the newest
// one is drained first, as Knative does.
func (r *rollout) move(percent int64) {
	latest := len(r.Shares) - 1
	for i := latest - 1; i >= 0; i-- {
		lost := min(percent, r.Shares[i].Percent)
		r.Shares[i].Percent -= lost
		r.Shares[latest].Percent += lost
		percent -= lost
	}
	r.Shares = some(r.Shares)
}

// some are those of shares that are more than nothing.
func some(shares []share) []share {
	return slices.DeleteFunc(shares, func(s share) bool { return s.Percent <= 0 })
}

// course is how a route's traffic has come to be what it is.
type course struct {
	rollouts []rollout                 // those that go on
	traffic  []servingv1.TrafficTarget // as the status has it
}

// courseOf reads it from a route's status. Where that cannot be read nothing goes
// on, and the latest revisions have their traffic at once.
func courseOf(route *servingv1.Route) course {
	c := course{traffic: slices.Clone(route.Status.Traffic)}
	text, ok := route.Status.Annotations[rolloutAnnotation]
	if !ok {
		return c
	}
	stuck := func(r rollout) bool { return r.Step < 1 || r.Pause.Duration <= 0 }
	if json.Unmarshal([]byte(text), &c.rollouts) != nil || slices.ContainsFunc(c.rollouts, stuck) {
		return course{}
	}
	return c
}

// next is how a target that follows f is to stand now. Without a duration, and
// with a percent or none to give, it gives all to the latest revision.
func (c *course) next(t servingv1.TrafficTarget, f *follow, over time.Duration, now time.Time) rollout {
	percent := percentOf(t)
	if over <= 0 || percent <= 1 {
		return rollout{Shares: []share{{f.latest, percent}}}
	}
	return c.take(t.ConfigurationName, f).advance(f.latest, percent, over, now)
}

// take takes out of c how the next target stood that follows a Configuration, by
// what goes on, or by the status. Revisions that are gone take part in nothing.
func (c *course) take(configuration string, f *follow) rollout {
	r := rollout{Configuration: configuration}
	if i := slices.IndexFunc(c.rollouts, func(r rollout) bool { return r.Configuration == configuration }); i >= 0 {
		r = c.rollouts[i]
		c.rollouts = slices.Delete(c.rollouts, i, i+1)
	} else if i := slices.IndexFunc(c.traffic, func(was servingv1.TrafficTarget) bool {
		return percentOf(was) > 0 && was.LatestRevision != nil && *was.LatestRevision && f.has(was.RevisionName)
	}); i >= 0 {
		r.Shares = []share{{c.traffic[i].RevisionName, percentOf(c.traffic[i])}}
		c.traffic = slices.Delete(c.traffic, i, i+1)
	}
	r.Shares = slices.DeleteFunc(some(r.Shares), func(s share) bool { return !f.has(s.Revision) })
	return r
}

func percentOf(t servingv1.TrafficTarget) int64 {
	if t.Percent == nil {
		return 0
	}
	return *t.Percent
}

// record writes the rollouts that go on into a route's status, and returns when
// the first of them is due; zero where none goes on.
func record(route *servingv1.Route, goOn []rollout) (due time.Time, err error) {
	if len(goOn) == 0 {
		annotate(&route.Status.Annotations, rolloutAnnotation, "")
		return time.Time{}, nil
	}
	text, err := json.Marshal(goOn)
	if err != nil {
		return time.Time{}, err
	}
	annotate(&route.Status.Annotations, rolloutAnnotation, string(text))
	first := slices.MinFunc(goOn, func(a, b rollout) int { return a.Next.Compare(b.Next) })
	return first.Next, nil
}

// entranceOf is the part of a route's status that tells of the gateway.
func entranceOf(route *servingv1.Route, due time.Time) entranceStatus {
	if due.IsZero() {
		return &route.Status
	}
	return underWay{&route.Status}
}

// underWay is the status of a route while its traffic moves: it is not ready when
// the gateway is.
type underWay struct{ *servingv1.RouteStatus }

// MarkIngressReady says that the gateway leads here, and what is missing.
func (s underWay) MarkIngressReady() { s.MarkIngressRolloutInProgress() }
