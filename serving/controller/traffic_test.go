package controller

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

type state int

const (
	starting state = iota
	isReady
	hasFailed
)

func revision(name string, generation int, s state) servingv1.Revision {
	var rev servingv1.Revision
	rev.Name = name
	rev.Labels = map[string]string{servingv1.ConfigurationGenerationLabel: strconv.Itoa(generation)}
	rev.Status.InitializeConditions()
	switch s {
	case isReady:
		rev.Status.MarkContainerHealthyTrue()
		rev.Status.MarkResourcesAvailableTrue()
	case hasFailed:
		rev.Status.MarkContainerHealthyFalse("ExitCode1", "boom")
	}
	return rev
}

func TestLatestReady(t *testing.T) {
	for name, c := range map[string]struct {
		created, previous string
		revisions         []servingv1.Revision
		want              string
	}{
		"none yet":            {"a", "", []servingv1.Revision{revision("a", 1, starting)}, ""},
		"the first":           {"a", "", []servingv1.Revision{revision("a", 1, isReady)}, "a"},
		"the next starts":     {"b", "a", []servingv1.Revision{revision("a", 1, isReady), revision("b", 2, starting)}, "a"},
		"the next is ready":   {"b", "a", []servingv1.Revision{revision("a", 1, isReady), revision("b", 2, isReady)}, "b"},
		"the next has failed": {"b", "a", []servingv1.Revision{revision("a", 1, isReady), revision("b", 2, hasFailed)}, "a"},
		"the last good one no longer runs either": {
			"b", "a", []servingv1.Revision{revision("a", 1, hasFailed), revision("b", 2, hasFailed)}, "a",
		},
		"rollback": {"a", "c", []servingv1.Revision{revision("a", 1, isReady), revision("c", 3, isReady)}, "a"},
		"an edit after a rollback": {
			"d", "a", []servingv1.Revision{revision("a", 1, isReady), revision("c", 3, isReady), revision("d", 4, starting)}, "a",
		},
		"the last good one was deleted": {
			"d", "c", []servingv1.Revision{revision("a", 1, isReady), revision("b", 2, isReady), revision("d", 4, starting)}, "b",
		},
	} {
		config := &servingv1.Configuration{}
		config.Status.LatestCreatedRevisionName, config.Status.LatestReadyRevisionName = c.created, c.previous
		if got := latestReady(config, c.revisions); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAssign(t *testing.T) {
	ready, young, broken := revision("v1", 1, isReady), revision("v2", 2, starting), revision("v3", 3, hasFailed)
	b := backends{
		configurations: map[string]*follow{"hello": {latest: "hello-00002"}, "new": {}, "broken": {failed: true}},
		revisions:      map[string]*servingv1.Revision{"v1": &ready, "v2": &young, "v3": &broken},
	}
	latest := func(configuration string, percent int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{ConfigurationName: configuration, Percent: &percent}
	}
	pinned := func(name, tag string, percent int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{RevisionName: name, Tag: tag, Percent: &percent}
	}
	const before = "[before 100 latest]"
	for name, c := range map[string]struct {
		spec      []servingv1.TrafficTarget
		want      string
		condition string
	}{
		"latest":        {[]servingv1.TrafficTarget{latest("hello", 100)}, "[hello-00002 100 latest]", "True"},
		"split":         {[]servingv1.TrafficTarget{latest("hello", 90), pinned("v1", "", 10)}, "[hello-00002 90 latest v1 10]", "True"},
		"tag":           {[]servingv1.TrafficTarget{pinned("v1", "old", 100)}, "[v1 100 old http://old-hello.default.example.com]", "True"},
		"no revision":   {[]servingv1.TrafficTarget{pinned("v9", "", 100)}, before, `False RevisionMissing: Revision "v9" referenced in traffic not found.`},
		"young":         {[]servingv1.TrafficTarget{pinned("v2", "", 100)}, before, `Unknown RevisionMissing: Revision "v2" is not yet ready.`},
		"broken":        {[]servingv1.TrafficTarget{pinned("v3", "", 100)}, before, `False RevisionMissing: Revision "v3" failed to become ready.`},
		"half of it":    {[]servingv1.TrafficTarget{latest("hello", 50), pinned("v9", "", 50)}, before, `False RevisionMissing: Revision "v9" referenced in traffic not found.`},
		"no config":     {[]servingv1.TrafficTarget{latest("gone", 100)}, before, `False ConfigurationMissing: Configuration "gone" referenced in traffic not found.`},
		"new config":    {[]servingv1.TrafficTarget{latest("new", 100)}, before, `Unknown RevisionMissing: Configuration "new" is waiting for a Revision to become ready.`},
		"broken config": {[]servingv1.TrafficTarget{latest("broken", 100)}, before, `False RevisionMissing: Configuration "broken" does not have any ready Revision.`},
	} {
		t.Run(name, func(t *testing.T) {
			route := &servingv1.Route{}
			route.Name, route.Namespace = "hello", "default"
			route.Spec.Traffic = c.spec
			route.Status.Traffic = []servingv1.TrafficTarget{{RevisionName: "before", Percent: new(int64(100)), LatestRevision: new(true)}}
			if due, err := assign(route, b, desired.NewHosting(route, newInForce("example.com").naming(), nil), 0, noon); err != nil || !due.IsZero() {
				t.Errorf("due at %s, %v", due, err)
			}
			if got := split(route); got != c.want {
				t.Errorf("traffic is %s, want %s", got, c.want)
			}
			if got := condition(&route.Status.Status, servingv1.RouteAllTrafficAssigned); got != c.condition {
				t.Errorf("condition is %q, want %q", got, c.condition)
			}
		})
	}
}

// split is a route's traffic in a line.
func split(route *servingv1.Route) string {
	var out []string
	for _, t := range route.Status.Traffic {
		out = append(out, t.RevisionName, strconv.FormatInt(*t.Percent, 10))
		if t.LatestRevision != nil && *t.LatestRevision {
			out = append(out, "latest")
		}
		if t.Tag != "" {
			out = append(out, t.Tag, t.URL)
		}
	}
	return fmt.Sprint(out)
}

func TestSurplus(t *testing.T) {
	config := &servingv1.Configuration{}
	config.Status.LatestCreatedRevisionName, config.Status.LatestReadyRevisionName = "r20", "r19"
	var revisions []servingv1.Revision
	for i := 20; i >= 1; i-- {
		rev := revision(fmt.Sprintf("r%d", i), i, isReady)
		rev.Labels[servingv1.RoutingStateLabel] = desired.RoutingReserve
		revisions = append(revisions, rev)
	}
	for i := range revisions {
		switch revisions[i].Name {
		case "r2":
			revisions[i].Labels[servingv1.RoutingStateLabel] = desired.RoutingActive
		case "r3":
			revisions[i].Annotations = map[string]string{servingv1.NoGCAnnotation: "true"}
		}
	}
	var got []string
	for _, rev := range surplus(config, revisions, newInForce("").collection(), noon) {
		got = append(got, rev.Name)
	}
	// 20 less the latest two, the routed and the kept leave 16; ten stay.
	if want := []string{"r1", "r4", "r5", "r6", "r7", "r8"}; !slices.Equal(got, want) {
		t.Errorf("%q would go, want %q", got, want)
	}
}
