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
		traffic []servingv1.TrafficTarget
		words   string // none where it follows
	}{
		"nothing is said":          {nil, ""},
		"the latest has all":       {[]servingv1.TrafficTarget{to("", 100)}, ""},
		"the latest has most":      {[]servingv1.TrafficTarget{to("hello-00001", 20), to("", 80)}, ""},
		"a tag has nothing":        {[]servingv1.TrafficTarget{to("", 100), tag}, ""},
		"one is pinned":            {[]servingv1.TrafficTarget{to("hello-00001", 100)}, "it gets 0% of the traffic: spec.traffic gives 100% to hello-00001"},
		"the latest has the least": {[]servingv1.TrafficTarget{to("", 20), to("hello-00001", 80)}, "it gets 20% of the traffic: spec.traffic gives 80% to hello-00001"},
		"both have half":           {[]servingv1.TrafficTarget{to("", 50), to("hello-00001", 50)}, "it gets 50% of the traffic: spec.traffic gives 50% to hello-00001"},
		"several are pinned": {
			[]servingv1.TrafficTarget{to("hello-00001", 60), to("hello-00002", 40), tag}, "it gets 0% of the traffic: spec.traffic gives 60% to hello-00001, 40% to hello-00002",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if follows := followsLatest(c.traffic); follows != (c.words == "") {
				t.Fatalf("followsLatest = %v", follows)
			}
			if c.words == "" {
				return
			}
			if got := elsewhere(c.traffic); got != c.words {
				t.Errorf("got %q, want %q", got, c.words)
			}
		})
	}
}
