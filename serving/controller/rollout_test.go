package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// shares reads "a 60 b 40".
func shares(text string) []share {
	var out []share
	for words := strings.Fields(text); len(words) > 1; words = words[2:] {
		s := share{Revision: words[0]}
		if _, err := fmt.Sscan(words[1], &s.Percent); err != nil {
			panic(err)
		}
		out = append(out, s)
	}
	return out
}

// words is what shares reads.
func words(shares []share) string {
	var out []string
	for _, s := range shares {
		out = append(out, fmt.Sprint(s.Revision, " ", s.Percent))
	}
	return strings.Join(out, " ")
}

func TestAdvance(t *testing.T) {
	const over = 10 * time.Second
	for name, c := range map[string]struct {
		was     string
		latest  string
		percent int64
		late    bool // its next step is due
		want    string
	}{
		"the first revision":                  {"", "a", 100, false, "a 100"},
		"nothing new":                         {"a 100", "a", 100, true, "a 100"},
		"a new one":                           {"a 100", "b", 100, false, "a 99 b 1"},
		"a new one of a part":                 {"a 60", "b", 60, false, "a 59 b 1"},
		"before the step is due":              {"a 99 b 1", "b", 100, false, "a 99 b 1"},
		"a step":                              {"a 99 b 1", "b", 100, true, "a 88 b 12"},
		"the last step":                       {"a 11 b 89", "b", 100, true, "b 100"},
		"less than a step is left":            {"a 5 b 95", "b", 100, true, "b 100"},
		"a third on the way":                  {"a 88 b 12", "c", 100, true, "a 88 b 11 c 1"},
		"a third after the first percent":     {"a 99 b 1", "c", 100, false, "a 99 c 1"},
		"of three the newer old one first":    {"a 50 b 30 c 20", "c", 100, true, "a 50 b 19 c 31"},
		"of three the newer old one goes":     {"a 50 b 5 c 45", "c", 100, true, "a 44 c 56"},
		"back to the old one":                 {"a 70 b 30", "a", 100, true, "b 30 a 70"},
		"back to the first of three":          {"a 50 b 30 c 20", "a", 100, false, "b 30 c 20 a 50"},
		"the target grows":                    {"a 20 b 30", "b", 100, false, "a 20 b 80"},
		"the target shrinks":                  {"a 50 b 50", "b", 70, false, "a 20 b 50"},
		"the target shrinks below the old":    {"a 50 b 50", "b", 40, false, "b 40"},
		"the target shrinks, and a new one":   {"a 50 b 50", "c", 40, false, "b 39 c 1"},
		"an old one is gone":                  {"b 40", "b", 100, false, "b 100"},
		"the new one is gone":                 {"a 40", "a", 100, false, "a 100"},
		"a step larger than what there is":    {"a 5 b 10", "b", 15, true, "b 15"},
		"two percent":                         {"a 2", "b", 2, false, "a 1 b 1"},
		"two percent, a step later":           {"a 1 b 1", "b", 2, true, "b 2"},
		"two percent, another on the way":     {"a 1 b 1", "c", 2, false, "a 1 c 1"},
		"far too late is no more than a step": {"a 88 b 12", "b", 100, true, "a 77 b 23"},
	} {
		t.Run(name, func(t *testing.T) {
			before := shares(c.was)
			r := rollout{Shares: slices.Clone(before), Step: 11, Pause: metav1.Duration{Duration: time.Second}, Next: noon.Add(time.Second)}
			if c.late {
				r.Next = noon.Add(-time.Hour)
			}
			untouched := r.Shares
			got := r.advance(c.latest, c.percent, over, noon)
			if words(got.Shares) != c.want {
				t.Errorf("%q becomes %q, want %q", c.was, words(got.Shares), c.want)
			}
			if !slices.Equal(untouched, before) {
				t.Errorf("what was became %q", words(untouched))
			}
			if got.goesOn() && !got.Next.After(noon) {
				t.Errorf("the next step is due at %s, and it is %s", got.Next, noon)
			}
		})
	}
}

// TestPace follows rollouts to their end: by Knative's steps and pauses, in the
// time that they are given.
func TestPace(t *testing.T) {
	for _, c := range []struct {
		over    time.Duration
		percent int64
		step    int64
		pause   time.Duration
		steps   int
	}{
		{time.Second, 100, 99, time.Second, 1},
		{2 * time.Second, 100, 99, time.Second, 1},
		{4 * time.Second, 100, 33, time.Second, 3},
		{10 * time.Second, 100, 11, time.Second, 9},
		{10 * time.Second, 50, 5, time.Second, 10},
		{time.Minute, 100, 2, time.Second, 50},
		{100 * time.Second, 100, 1, time.Second, 99},
		{10 * time.Minute, 100, 1, 599 * time.Second / 99, 99},
		{10 * time.Minute, 2, 1, 599 * time.Second, 1},
		{24 * 365 * time.Hour, 100, 1, (24*365*time.Hour - time.Second) / 99, 99},
	} {
		r := rollout{Shares: []share{{"a", c.percent}}}.advance("b", c.percent, c.over, noon)
		if r.Step != c.step || r.Pause.Duration != c.pause || !r.Next.Equal(noon.Add(c.pause)) {
			t.Errorf("%d%% in %s: %d%% every %s from %s on", c.percent, c.over, r.Step, r.Pause.Duration, r.Next)
		}
		steps := 0
		for ; r.goesOn(); steps++ {
			before := r.Shares[1].Percent
			if r = r.advance("b", c.percent, c.over, r.Next); r.Shares[len(r.Shares)-1].Percent <= before || steps > 100 {
				t.Fatalf("%d%% in %s does not go on after %q", c.percent, c.over, words(r.Shares))
			}
		}
		if steps != c.steps || words(r.Shares) != fmt.Sprint("b ", c.percent) {
			t.Errorf("%d%% in %s: %q after %d steps, want %d", c.percent, c.over, words(r.Shares), steps, c.steps)
		}
	}
}

// TestAssignInTheCourseOfTime: which targets move in steps, and what the status
// has to go on from.
func TestAssignInTheCourseOfTime(t *testing.T) {
	pinned := revision("v1", 1, isReady)
	follows := func(latest string) *follow {
		return &follow{latest: latest, revisions: []string{"a1", "a2", "a3", "b1", "b2"}}
	}
	to := func(configuration, tag string, percent int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{ConfigurationName: configuration, Tag: tag, Percent: &percent}
	}
	stood := func(revision, tag string, percent int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{RevisionName: revision, Tag: tag, Percent: &percent, LatestRevision: new(true)}
	}
	const onItsWay = `[{"configuration":"a","revisions":[{"revision":"a1","percent":67},{"revision":"a2","percent":33}],"step":33,"pause":"1s","next":"2020-01-01T00:00:00Z"}]`
	for name, c := range map[string]struct {
		spec []servingv1.TrafficTarget
		was  []servingv1.TrafficTarget
		said string // the annotation
		over time.Duration
		want string
	}{
		"without a duration": {[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 100)}, "", 0, "[a2 100 latest]"},
		"with one":           {[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 100)}, "", time.Minute, "[a1 99 latest a2 1 latest]"},
		"the first":          {[]servingv1.TrafficTarget{to("a", "", 100)}, nil, "", time.Minute, "[a2 100 latest]"},
		"a pinned one beside it": {
			[]servingv1.TrafficTarget{to("a", "", 60), {RevisionName: "v1", Percent: new(int64(40))}},
			[]servingv1.TrafficTarget{stood("a1", "", 60), {RevisionName: "v1", Percent: new(int64(40)), LatestRevision: new(false)}}, "", time.Minute,
			"[a1 59 latest a2 1 latest v1 40]",
		},
		"it was pinned before": {
			[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{{RevisionName: "a1", Percent: new(int64(100)), LatestRevision: new(false)}}, "", time.Minute,
			"[a2 100 latest]",
		},
		"a tag follows the latest": {
			[]servingv1.TrafficTarget{to("a", "now", 100)}, []servingv1.TrafficTarget{stood("a1", "now", 100)}, "", time.Minute,
			"[a1 99 latest a2 1 latest now http://now-hello.default.example.com]",
		},
		"a tag alone": {
			[]servingv1.TrafficTarget{to("a", "now", 0), to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "now", 0), stood("a1", "", 100)}, "", time.Minute,
			"[a2 0 latest now http://now-hello.default.example.com a1 99 latest a2 1 latest]",
		},
		"a tag that it gets": {
			[]servingv1.TrafficTarget{to("a", "now", 100)}, []servingv1.TrafficTarget{stood("a1", "", 67), stood("a2", "", 33)}, onItsWay, time.Minute,
			"[a1 34 latest a2 66 latest now http://now-hello.default.example.com]",
		},
		"one percent": {[]servingv1.TrafficTarget{to("a", "", 1), to("b", "", 99)}, []servingv1.TrafficTarget{stood("a1", "", 1), stood("b1", "", 99)}, "", time.Minute, "[a2 1 latest b1 98 latest b2 1 latest]"},
		"two configurations": {
			[]servingv1.TrafficTarget{to("b", "", 50), to("a", "", 50)}, []servingv1.TrafficTarget{stood("b1", "", 50), stood("a1", "", 50)}, "", time.Minute,
			"[b1 49 latest b2 1 latest a1 49 latest a2 1 latest]",
		},
		"on its way":           {[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 67), stood("a2", "", 33)}, onItsWay, time.Minute, "[a1 34 latest a2 66 latest]"},
		"no duration any more": {[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 67), stood("a2", "", 33)}, onItsWay, 0, "[a2 100 latest]"},
		"an annotation that is none": {
			[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 67), stood("a2", "", 33)}, "{", time.Minute, "[a2 100 latest]",
		},
		"an annotation that would never end": {
			[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a1", "", 67), stood("a2", "", 33)},
			strings.ReplaceAll(onItsWay, `"step":33`, `"step":0`), time.Minute, "[a2 100 latest]",
		},
		"an old revision that is gone": {
			[]servingv1.TrafficTarget{to("a", "", 100)}, []servingv1.TrafficTarget{stood("a0", "", 67), stood("a2", "", 33)},
			strings.ReplaceAll(onItsWay, `"a1"`, `"a0"`), time.Minute, "[a2 100 latest]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			route := &servingv1.Route{}
			route.Name, route.Namespace = "hello", "default"
			route.Spec.Traffic, route.Status.Traffic = c.spec, c.was
			annotate(&route.Status.Annotations, rolloutAnnotation, c.said)
			a, b := follows("a2"), follows("b2")
			a.revisions, b.revisions = a.revisions[:3], b.revisions[3:]
			of := backends{configurations: map[string]*follow{"a": a, "b": b}, revisions: map[string]*servingv1.Revision{"v1": &pinned}}
			due, err := assign(route, of, desired.NewHosting(route, newInForce("example.com").naming(), nil), c.over, noon)
			if err != nil {
				t.Fatal(err)
			}
			if got := split(route); got != c.want {
				t.Errorf("traffic is %s, want %s", got, c.want)
			}
			moves := len(route.Status.Traffic) > len(c.spec)
			if _, said := route.Status.Annotations[rolloutAnnotation]; moves != !due.IsZero() || moves != said {
				t.Errorf("due at %s, with %s", due, route.Status.Annotations)
			}
		})
	}
}

// pass lets time pass, and has everything looked at again.
func (w *world) pass(d time.Duration) {
	w.Helper()
	w.clock.Step(d)
	w.settle()
}

// during sets the Service's annotation.
func during(d string) func(*servingv1.Service) {
	return func(s *servingv1.Service) { s.Annotations = map[string]string{servingv1.RolloutDurationAnnotation: d} }
}

func TestRollout(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ready := func(when, want string) {
		t.Helper()
		svc := get(w, &servingv1.Service{}, "hello")
		for _, c := range []servingv1.ConditionType{servingv1.ConditionReady, servingv1.ServiceRoutesReady} {
			w.expect(string(c)+" "+when, condition(&svc.Status.Status, c), want)
		}
		w.expect("the Service's traffic "+when, split(&servingv1.Route{Status: servingv1.RouteStatus{RouteStatusFields: svc.Status.RouteStatusFields}}), w.traffic("hello"))
	}
	const going = "Unknown RolloutInProgress: A gradual rollout of the latest revision(s) is in progress."
	w.live("hello", "dev.local/hello:1", "hello-00001", during("4s")) // a first revision is live at once
	ready("at first", "True")

	w.deploy("hello", "dev.local/hello:2")
	w.expect("traffic while the second starts", w.traffic("hello"), "[hello-00001 100 latest]")
	w.activator("hello-00002")
	w.expect("traffic when it answers", w.traffic("hello"), "[hello-00001 99 latest hello-00002 1 latest]")
	ready("when it answers", going)
	route := get(w, &servingv1.Route{}, "hello")
	w.expect("IngressReady", condition(&route.Status.Status, servingv1.RouteIngressReady), going)
	w.expect("AllTrafficAssigned", condition(&route.Status.Status, servingv1.RouteAllTrafficAssigned), "True")
	again, err := w.routes.Reconcile(t.Context(), route)
	if err != nil || again.RequeueAfter != time.Second {
		t.Errorf("the route is looked at again in %s, %v", again.RequeueAfter, err)
	}
	w.pass(999 * time.Millisecond)
	w.expect("traffic before a second has passed", w.traffic("hello"), "[hello-00001 99 latest hello-00002 1 latest]")
	w.pass(time.Millisecond)
	w.expect("traffic after a second", w.traffic("hello"), "[hello-00001 66 latest hello-00002 34 latest]")

	// A controller that starts later goes on where the one before it was.
	w.clock.Step(time.Hour)
	w.routes = &routes{entrances: w.routes.entrances, force: w.routes.force, clock: w.clock}
	w.settle()
	w.expect("traffic after an hour without a controller", w.traffic("hello"), "[hello-00001 33 latest hello-00002 67 latest]")
	w.expect("pods of the old one", len(w.pods("hello-00001")), 1)
	old := get(w, &servingv1.Revision{}, "hello-00001")
	w.expect("the old one", old.Labels[servingv1.RoutingStateLabel], desired.RoutingActive)

	w.deploy("hello", "dev.local/hello:3")
	w.activator("hello-00003")
	w.expect("traffic when a third answers", w.traffic("hello"), "[hello-00001 33 latest hello-00002 66 latest hello-00003 1 latest]")
	w.pass(time.Second)
	w.expect("traffic a second later", w.traffic("hello"), "[hello-00001 33 latest hello-00002 33 latest hello-00003 34 latest]")
	w.pass(time.Second)
	w.expect("traffic two seconds later", w.traffic("hello"), "[hello-00001 33 latest hello-00003 67 latest]")
	w.expect("pods of the second", len(w.pods("hello-00002")), 0)
	ready("before the last step", going)
	w.pass(time.Second)
	w.expect("traffic at the end", w.traffic("hello"), "[hello-00003 100 latest]")
	ready("at the end", "True")
	w.expect("pods of the old one at the end", len(w.pods("hello-00001")), 0)
	route = get(w, &servingv1.Route{}, "hello")
	w.expect("what is written down at the end", route.Status.Annotations[rolloutAnnotation], "")
	if again, err := w.routes.Reconcile(t.Context(), route); err != nil || again.RequeueAfter != 0 {
		t.Errorf("at the end the route is looked at again in %s, %v", again.RequeueAfter, err)
	}
}

// What is pinned does not move, and a rollout ends when it is called off.
func TestRolloutThatIsCalledOff(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001", during("1m"))
	w.deploy("hello", "dev.local/hello:2")
	w.activator("hello-00002")
	w.expect("traffic", w.traffic("hello"), "[hello-00001 99 latest hello-00002 1 latest]")
	w.deploy("hello", "dev.local/hello:2", func(s *servingv1.Service) {
		s.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-00001", Percent: new(int64(100))}}
	})
	w.expect("traffic that is pinned", w.traffic("hello"), "[hello-00001 100]")
	w.expect("Ready", condition(&get(w, &servingv1.Service{}, "hello").Status.Status, servingv1.ConditionReady), "True")
	w.pass(time.Hour)
	w.expect("traffic later", w.traffic("hello"), "[hello-00001 100]")

	w.deploy("hello", "dev.local/hello:2", func(s *servingv1.Service) { s.Spec.Traffic = nil })
	w.expect("traffic that follows again", w.traffic("hello"), "[hello-00002 100 latest]")
	w.deploy("hello", "dev.local/hello:3")
	w.activator("hello-00003")
	w.expect("traffic", w.traffic("hello"), "[hello-00002 99 latest hello-00003 1 latest]")
	w.deploy("hello", "dev.local/hello:3", during("0s"))
	w.expect("traffic without a duration", w.traffic("hello"), "[hello-00003 100 latest]")
	w.expect("Ready", condition(&get(w, &servingv1.Service{}, "hello").Status.Status, servingv1.ConditionReady), "True")
}

// config-network has the duration of those that do not say.
func TestRolloutOfTheBox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello:1", "hello-00001")
	if err := w.routes.force.take("config-network", map[string]string{"rollout-duration": "4"}); err != nil {
		t.Fatal(err)
	}
	w.deploy("hello", "dev.local/hello:2")
	w.activator("hello-00002")
	w.expect("traffic", w.traffic("hello"), "[hello-00001 99 latest hello-00002 1 latest]")
	if err := w.routes.force.take("config-network", map[string]string{"rollout-duration": "-4"}); err == nil {
		t.Error("a negative duration is taken")
	}
	w.pass(time.Second)
	w.expect("traffic by the last that was right", w.traffic("hello"), "[hello-00001 66 latest hello-00002 34 latest]")
	if err := w.routes.force.take("config-network", nil); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.expect("traffic when nobody wants it", w.traffic("hello"), "[hello-00002 100 latest]")
}
