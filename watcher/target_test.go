package watcher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/delve"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

func TestDecide(t *testing.T) {
	code, manifest := &request{build: true}, &request{}
	service := Target{ImportPath: "p", Service: &servingv1.Service{}}
	service.Service.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "ko://p"}}
	image := map[string]string{"p": "i"}
	for _, c := range []struct {
		target target
		free   bool
		want   action
	}{
		{target{}, true, nothing},
		{target{stage: building}, true, nothing},
		{target{stage: shipping}, true, nothing},
		{target{pending: code}, true, start},
		{target{pending: code}, false, hold},
		{target{pending: code, stage: building}, false, restart},
		{target{pending: code, stage: shipping}, true, hold},
		{target{pending: code, gone: true}, true, hold},
		{target{Target: service, pending: manifest, images: image}, true, ship},
		{target{Target: service, pending: manifest, images: image}, false, ship},
		{target{Target: service, pending: manifest}, true, start},
		{target{Target: service, pending: manifest}, false, hold},
		{target{Target: service, pending: manifest, stage: building}, true, hold},
		{target{Target: service, pending: manifest, stage: shipping, images: image}, true, hold},
	} {
		if got, why := c.target.decide(c.free); got != c.want || why == "" {
			t.Errorf("%+v, slot free %v: %s because %q, want %s", c.target, c.free, got, why, c.want)
		}
	}
}

func TestRequestsAddUp(t *testing.T) {
	now := time.Now()
	var none *request
	one := none.add(&request{since: now, files: []string{"a.go:1"}, build: true, list: true, first: true})
	sum := one.add(&request{since: now.Add(time.Second), files: []string{"a.go:1", "service.yaml"}})
	if got := fmt.Sprintf("%v %v %v %v %v", sum.since.Sub(now), sum.files, sum.build, sum.list, sum.first); got != "1s [a.go:1 service.yaml] true true true" {
		t.Errorf("sum is %s", got)
	}
	if len(one.files) != 1 {
		t.Errorf("the sum changed a summand: %v", one.files)
	}
}

// One that does not listen never settles, and says so: that all are watched is
// told then, and `up --detach` goes on waiting.
func TestToldOf(t *testing.T) {
	l := &loop{events: func(event.Event) {}}
	well, mute := &target{settled: true}, &target{follow: &follow{}}
	l.targets = []*target{well, mute}
	if l.all((*target).toldOf) {
		t.Error("nobody knows yet how it is with the second")
	}
	l.progress(mute, mute.follow, deploy.Report{Stage: deploy.Slow, Revision: "mute-00001", Reason: "it does not listen"})
	if !l.all((*target).toldOf) || l.all((*target).hasSettled) {
		t.Errorf("told of: %v and %v, settled: %v and %v", well.toldOf(), mute.toldOf(), well.settled, mute.settled)
	}
}

// One that is debugged may stand where a debugger sees it.
func TestSlowUnderDelve(t *testing.T) {
	listener, err := delve.Listen(delve.FirstPort, true)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var said event.Event
	l := &loop{events: func(e event.Event) { said = e }}
	one := &target{follow: &follow{}, debug: &debugging{door: delve.NewDoor(listener, nil, nil)}}
	l.progress(one, one.follow, deploy.Report{Stage: deploy.Slow, Revision: "one-00001", Reason: "it does not listen"})
	if said.Kind != event.RevisionSlow || !strings.Contains(said.Hint, listener.Addr().String()) {
		t.Errorf("said %s: %s", said.Kind, said.Hint)
	}
}
