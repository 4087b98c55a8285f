package watcher

import (
	"fmt"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	code, manifest := &request{build: true}, &request{}
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
		{target{pending: manifest, image: "i"}, true, ship},
		{target{pending: manifest, image: "i"}, false, ship},
		{target{pending: manifest}, true, start},
		{target{pending: manifest}, false, hold},
		{target{pending: manifest, stage: building}, true, hold},
		{target{pending: manifest, stage: shipping, image: "i"}, true, hold},
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
