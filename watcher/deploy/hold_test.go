package deploy_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// service is the Service as it is now.
func (s *stage) service() *servingv1.Service {
	s.Helper()
	now := &servingv1.Service{}
	s.must(s.client.Get(s.Context(), client.ObjectKey{Namespace: s.namespace, Name: "hello"}, now))
	return now
}

// traffic is where a Service says that its traffic goes.
func (s *stage) traffic() string {
	s.Helper()
	var all []string
	for _, t := range s.service().Spec.Traffic {
		name := t.RevisionName
		if name == "" {
			name = "latest"
		}
		share := int64(0)
		if t.Percent != nil {
			share = *t.Percent
		}
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d%% %s %s", share, name, t.Tag)))
	}
	return strings.Join(all, ", ")
}

// serves makes the revision of the Service as it is now, ready and with a share
// of the traffic, which is what the controller writes.
func (s *stage) serves(name string, split ...servingv1.TrafficTarget) {
	s.Helper()
	rev := s.revise(name)
	rev.Labels = map[string]string{servingv1.ServiceLabel: "hello"}
	s.must(s.client.Update(s.Context(), rev))
	s.ready(rev)
	s.splits(append(split, servingv1.TrafficTarget{RevisionName: name, LatestRevision: new(true), Percent: new(int64(100))})[:max(1, len(split))]...)
}

func (s *stage) splits(split ...servingv1.TrafficTarget) {
	s.Helper()
	now := s.service()
	now.Status.Traffic = split
	s.must(s.client.Status().Update(s.Context(), now))
}

// TestHold: what serves is pinned, saves leave it alone, whether the manifest
// speaks of traffic or not, and a release has it as it was.
func TestHold(t *testing.T) {
	to := func(name, tag string, share int64) servingv1.TrafficTarget {
		return servingv1.TrafficTarget{RevisionName: name, Tag: tag, Percent: new(share)}
	}
	for name, c := range map[string]struct {
		manifest             []servingv1.TrafficTarget
		split                []servingv1.TrafficTarget // in force, where it is not all the latest's
		held, rolled, before string
	}{
		"the manifest says nothing": {held: "100% hello-00002", rolled: "100% hello-00001", before: "100% latest"},
		"it has a split": {
			manifest: []servingv1.TrafficTarget{to("hello-00001", "old", 20), to("", "", 80)},
			split:    []servingv1.TrafficTarget{to("hello-00001", "old", 20), to("hello-00002", "", 80)},
			held:     "20% hello-00001 old, 80% hello-00002", rolled: "100% hello-00001, 0% hello-00001 old",
			before: "20% hello-00001 old, 80% latest",
		},
		"it pins what serves": {
			manifest: []servingv1.TrafficTarget{to("hello-00002", "", 100)},
			split:    []servingv1.TrafficTarget{to("hello-00002", "", 100)},
			held:     "100% hello-00002", rolled: "100% hello-00001", before: "100% hello-00002",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			version := 0
			saves := func() {
				t.Helper()
				version++
				s.apply(s.manifest(c.manifest...), fmt.Sprintf("example.com/hello:v%d", version))
			}
			is := func(when, want string) {
				t.Helper()
				if got := s.traffic(); got != want {
					t.Errorf("%s the traffic is %s, want %s", when, got, want)
				}
			}
			saves()
			s.serves("hello-00001")
			saves()
			s.serves("hello-00002", c.split...)
			s.must(deploy.Hold(t.Context(), s.client, s.service()))
			is("held", c.held)
			saves()
			is("after a save", c.held)
			s.must(deploy.Release(t.Context(), s.client, s.service()))
			is("released", c.before)
			if deploy.Held(s.service()) {
				t.Error("it is held still")
			}

			before, err := deploy.Previous(t.Context(), s.client, s.service())
			if err != nil || before != "hello-00001" {
				t.Fatalf("before what serves is %s, %v", before, err)
			}
			s.must(deploy.Rollback(t.Context(), s.client, s.service(), before))
			is("rolled back", c.rolled)
			s.must(deploy.Hold(t.Context(), s.client, s.service())) // what serves has not followed yet
			s.must(deploy.Rollback(t.Context(), s.client, s.service(), before))
			saves()
			is("after another save", c.rolled)
			s.must(deploy.Release(t.Context(), s.client, s.service()))
			is("released again", c.before)
			saves()
			is("after the last save", c.before)

			s.must(deploy.Rollback(t.Context(), s.client, s.service(), before))
			c.manifest = []servingv1.TrafficTarget{to("hello-00001", "", 30), to("", "", 70)}
			saves()
			is("after the manifest has changed", c.rolled)
			s.must(deploy.Release(t.Context(), s.client, s.service()))
			is("released as the manifest says now", "30% hello-00001, 70% latest")
		})
	}
}

// TestNothingToGoBackTo: a Service that has served nothing, or nothing before,
// stays as it is; a revision that was never ready is passed over.
func TestNothingToGoBackTo(t *testing.T) {
	s := newStage(t)
	s.apply(s.manifest(), "example.com/hello:v1")
	if err := deploy.Hold(t.Context(), s.client, s.service()); !errors.Is(err, deploy.ErrNeverReady) {
		t.Errorf("Hold = %v", err)
	}
	if _, err := deploy.Previous(t.Context(), s.client, s.service()); !errors.Is(err, deploy.ErrNeverReady) {
		t.Errorf("Previous = %v", err)
	}
	if err := deploy.Release(t.Context(), s.client, s.service()); !errors.Is(err, deploy.ErrNeverReady) {
		t.Errorf("Release = %v", err)
	}
	for _, split := range []deploy.Split{{Shares: []deploy.Share{{deploy.Latest, 100}}}, {Tags: []deploy.Tag{{deploy.Latest, "new"}}}} {
		if err := deploy.Divide(t.Context(), s.client, s.service(), split); !errors.Is(err, deploy.ErrNeverReady) {
			t.Errorf("Divide %+v = %v", split, err)
		}
	}
	if deploy.Held(s.service()) {
		t.Error("what was refused is held")
	}
	s.serves("hello-00001")
	if _, err := deploy.Previous(t.Context(), s.client, s.service()); !errors.Is(err, deploy.ErrNoneBefore) {
		t.Errorf("Previous = %v", err)
	}
	s.apply(s.manifest(), "example.com/hello:v2")
	s.crash(s.revise("hello-00002"))
	s.apply(s.manifest(), "example.com/hello:v3")
	s.serves("hello-00003")
	if before, err := deploy.Previous(t.Context(), s.client, s.service()); before != "hello-00001" || err != nil {
		t.Errorf("Previous = %s, %v", before, err)
	}
	if all := s.service().ManagedFields; slices.ContainsFunc(all, func(m metav1.ManagedFieldsEntry) bool { return m.Manager == "devbox-hold" }) {
		t.Error("what was refused is owned")
	}
}

// TestCurrent: what a Service says is waited for, by whomever it was made.
func TestCurrent(t *testing.T) {
	s := newStage(t)
	made := s.manifest()
	made.Spec.Template.Spec.Containers[0].Image = "example.com/hello:v1"
	s.must(s.client.Create(t.Context(), made))
	rollout, err := s.deployer.Current(t.Context(), client.ObjectKeyFromObject(made))
	s.must(err)
	next, end := s.follow(t.Context(), rollout)
	next(deploy.Slow)
	rev := s.revise("hello-00001")
	next(deploy.Created)
	s.ready(rev)
	s.route("hello-00001")
	next(deploy.Live)
	s.must(end())

	// The revision of before is not taken for the one that is to come.
	now := s.service()
	now.Spec.Template.Spec.Containers[0].Image = "example.com/hello:v2"
	s.must(s.client.Update(t.Context(), now))
	rollout, err = s.deployer.Current(t.Context(), client.ObjectKeyFromObject(made))
	s.must(err)
	next, end = s.follow(t.Context(), rollout)
	if r := next(deploy.Slow); r.Reason != "there is no revision yet" {
		t.Errorf("slow because %q", r.Reason)
	}
	s.ready(s.revise("hello-00002"))
	next(deploy.Created)
	s.route("hello-00002")
	next(deploy.Live)
	s.must(end())
	if _, err := s.deployer.Current(t.Context(), client.ObjectKey{Namespace: s.namespace, Name: "nobody"}); err == nil {
		t.Error("a Service of nobody's is waited for")
	}
}
