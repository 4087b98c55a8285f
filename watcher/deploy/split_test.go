package deploy_test

import (
	"errors"
	"strings"
	"testing"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// TestDivide: shares go where they are sent, tags that are not named stay, a save
// changes nothing of it, and a release has it as it was.
func TestDivide(t *testing.T) {
	s := newStage(t)
	s.apply(s.manifest(), "example.com/hello:v1")
	s.serves("hello-00001")
	s.apply(s.manifest(), "example.com/hello:v2")
	s.serves("hello-00002")
	for _, step := range []struct {
		split deploy.Split
		want  string // traffic, or what is wrong
	}{
		{deploy.Split{Shares: []deploy.Share{{"hello-00001", 90}, {deploy.Latest, 10}}}, "90% hello-00001, 10% latest"},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00001", "old"}, {deploy.Latest, "new"}}}, "90% hello-00001, 10% latest, 0% hello-00001 old, 0% latest new"},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00001", "old"}}}, "90% hello-00001, 10% latest, 0% hello-00001 old, 0% latest new"},
		{deploy.Split{Shares: []deploy.Share{{"old", 30}, {"hello-00002", 70}}}, "70% hello-00002, 30% hello-00001 old, 0% latest new"},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00002", "new"}}, Untag: []string{"old"}}, "70% hello-00002, 30% hello-00001, 0% hello-00002 new"},
		{deploy.Split{Untag: []string{"old"}}, `there is no tag "old": the service has new`},
		{deploy.Split{Shares: []deploy.Share{{"hello-00001", 90}, {deploy.Latest, 20}}}, "the shares come to 110 percent, and all of the traffic is 100"},
		{deploy.Split{Shares: []deploy.Share{{"hello-00001", 110}, {deploy.Latest, -10}}}, "hello-00001 is given 110 percent: a share is one of 0 to 100"},
		{deploy.Split{Shares: []deploy.Share{{"hello-00001", 50}, {"hello-00001", 50}}}, "hello-00001 is given a share twice"},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00001", "a"}, {deploy.Latest, "a"}}}, "tag a is given twice, or given and taken away"},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00001", "Old!"}}}, `tag "Old!" cannot begin a host, as a tag does: it has small letters, digits and dashes, a letter first, and no dash last`},
		{deploy.Split{Tags: []deploy.Tag{{"hello-00001", "new"}}, Untag: []string{"new"}}, "tag new is given twice, or given and taken away"},
		{deploy.Split{Shares: []deploy.Share{{deploy.Latest, 100}}, Untag: []string{"new"}}, "100% latest"},
	} {
		before := s.traffic()
		err := deploy.Divide(t.Context(), s.client, s.service(), step.split)
		got := s.traffic()
		if wrong, ok := errors.AsType[*deploy.SplitError](err); ok {
			if got != before {
				t.Errorf("%+v: %v, and the traffic is %s after %s", step.split, wrong, got, before)
			}
			got, err = wrong.Error(), nil
		}
		if err != nil || got != step.want {
			t.Errorf("%+v: %s, %v; want %s", step.split, got, err, step.want)
		}
		s.apply(s.manifest(servingv1.TrafficTarget{RevisionName: "hello-00001", Percent: new(int64(100))}), "example.com/hello:v3")
		if after := s.traffic(); !strings.HasPrefix(step.want, "t") && !strings.HasPrefix(step.want, "hello") && after != step.want {
			t.Errorf("after a save the traffic is %s, want %s", after, step.want)
		}
	}
	s.must(deploy.Release(t.Context(), s.client, s.service()))
	if got, want := s.traffic(), "100% hello-00001"; got != want {
		t.Errorf("released, the traffic is %s, want %s, which the manifest says by now", got, want)
	}
}

// TestDivided: the status has followed when all shares and tags are in it.
func TestDivided(t *testing.T) {
	of := func(name, tag string, share int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{RevisionName: name, Tag: tag, Percent: new(share)}
	}
	latest := func(t servingv1.TrafficTarget) servingv1.TrafficTarget {
		t.LatestRevision = new(true)
		return t
	}
	s := &servingv1.Service{}
	s.Status.LatestReadyRevisionName = "b"
	s.Spec.Traffic = []servingv1.TrafficTarget{of("a", "", 90), latest(of("", "", 10)), of("a", "old", 0)}
	for _, c := range []struct {
		status []servingv1.TrafficTarget
		want   bool
	}{
		{nil, false},
		{[]servingv1.TrafficTarget{of("b", "", 100)}, false},
		{[]servingv1.TrafficTarget{of("a", "", 90), of("b", "", 10)}, false},
		{[]servingv1.TrafficTarget{of("a", "", 90), latest(of("b", "", 10)), of("a", "old", 0)}, true},
		{[]servingv1.TrafficTarget{of("a", "", 90), of("b", "", 10), of("a", "old", 0)}, false}, // b is pinned yet
		{[]servingv1.TrafficTarget{of("a", "", 90), latest(of("b", "", 10)), of("a", "old", 0), of("a", "older", 0)}, false},
	} {
		s.Status.Traffic = c.status
		if got := deploy.Divided(s); got != c.want {
			t.Errorf("%v: %v, want %v", c.status, got, c.want)
		}
	}
}
