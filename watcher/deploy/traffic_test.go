package deploy

import (
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestElsewhere: the gateway is waited for where it switches to the latest
// revision, and is not where most of the traffic is another's.
func TestElsewhere(t *testing.T) {
	to := func(revision string, percent int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{RevisionName: revision, Percent: new(percent)}
	}
	tag := servingv1.TrafficTarget{Tag: "old", RevisionName: "hello-00001"}
	for name, c := range map[string]struct {
		traffic []servingv1.TrafficTarget // hello-00003 is the latest
		words   string                    // none where it follows
	}{
		"nothing is said":          {nil, ""},
		"the latest has all":       {[]servingv1.TrafficTarget{to("", 100)}, ""},
		"the latest has most":      {[]servingv1.TrafficTarget{to("hello-00001", 20), to("", 80)}, ""},
		"a tag has nothing":        {[]servingv1.TrafficTarget{to("", 100), tag}, ""},
		"one is pinned":            {[]servingv1.TrafficTarget{to("hello-00001", 100)}, "it gets 0% of the traffic: spec.traffic gives 100% to hello-00001"},
		"the latest has the least": {[]servingv1.TrafficTarget{to("", 20), to("hello-00001", 80)}, "it gets 20% of the traffic: spec.traffic gives 80% to hello-00001"},
		"both have half":           {[]servingv1.TrafficTarget{to("", 50), to("hello-00001", 50)}, "it gets 50% of the traffic: spec.traffic gives 50% to hello-00001"},
		"it has all by its name":   {[]servingv1.TrafficTarget{to("hello-00003", 100)}, ""},
		"it has most by its name":  {[]servingv1.TrafficTarget{to("hello-00001", 30), to("hello-00003", 40), to("", 30)}, ""},
		"it has least by its name": {[]servingv1.TrafficTarget{to("hello-00001", 80), to("hello-00003", 20)}, "it gets 20% of the traffic: spec.traffic gives 80% to hello-00001"},
		"several are pinned": {
			[]servingv1.TrafficTarget{to("hello-00001", 60), to("hello-00002", 40), tag}, "it gets 0% of the traffic: spec.traffic gives 60% to hello-00001, 40% to hello-00002",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := follows(c.traffic, "hello-00003"); got != (c.words == "") {
				t.Fatalf("follows = %v", got)
			}
			if c.words == "" {
				return
			}
			if got := elsewhere(c.traffic, "hello-00003"); got != c.words {
				t.Errorf("got %q, want %q", got, c.words)
			}
		})
	}
}

// TestRolling: who takes a part of the traffic that grows is not live, and says by
// whose wish.
func TestRolling(t *testing.T) {
	service := func(reason, over string, revisions ...string) *servingv1.Service {
		s := &servingv1.Service{}
		s.Annotations = map[string]string{servingv1.RolloutDurationAnnotation: over}
		s.Status.InitializeConditions()
		s.Status.Condition(servingv1.ServiceRoutesReady).Reason = reason
		for _, name := range revisions {
			s.Status.Traffic = append(s.Status.Traffic, servingv1.TrafficTarget{RevisionName: name, LatestRevision: new(true)})
		}
		return s
	}
	rev := &servingv1.Revision{}
	rev.Name = "hello-00002"
	const going = servingv1.ReasonRolloutInProgress
	for name, c := range map[string]struct {
		state state
		want  string
	}{
		"nothing is there":        {state{}, ""},
		"its traffic moves":       {state{service: service(going, "2m", "hello-00001", "hello-00002"), revision: rev}, "traffic moves to it in steps over 2m0s, as serving.knative.dev/rollout-duration has it"},
		"by the box's wish":       {state{service: service(going, "", "hello-00001", "hello-00002"), revision: rev}, "traffic moves to it in steps, as config-network's rollout-duration has it"},
		"another's traffic moves": {state{service: service(going, "2m", "hello-00000", "hello-00001"), revision: rev}, ""},
		"nothing moves":           {state{service: service("", "2m", "hello-00002"), revision: rev}, ""},
	} {
		if got := rolling(c.state); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
