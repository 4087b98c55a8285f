//go:build e2e

package chaos

import (
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/load"
)

// paused halts the box for ten seconds a moment after an edit was saved. What
// was asked meanwhile is answered late or not at all; then everything goes on
// by itself, the edit included, and no request that began after the new
// revision had answered is answered by the old one.
func (w *world) paused(t *testing.T) {
	idle := w.service(t, "asleep", 0, map[string]string{"window": "6s"})
	w.Zero(t, "asleep")
	old := w.revision
	traffic := w.Caller(subject, "/").Start(20)
	time.Sleep(2 * time.Second)

	isLive := w.edit(t, "paused-"+w.word)
	time.Sleep(200 * time.Millisecond) // the edit is somewhere on its way
	halted := time.Now()
	resume := w.Pause(t)
	time.Sleep(10 * time.Second)
	resume()
	resumed := time.Now()
	at := isLive()
	t.Logf("the edit is live %s after the box went on", at.Sub(resumed).Round(time.Millisecond))
	late := w.Caller(idle, "/").Send(time.Now())
	if !late.OK() {
		t.Errorf("from zero afterwards: %s", late)
	}
	time.Sleep(5 * time.Second)
	all := traffic.Stop()

	asleep := all.Since(halted).Before(resumed)
	t.Logf("while it was halted: %s", asleep)
	if failed := all.AnsweredBy(halted).Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed before:\n%s", len(failed), failed.List())
	}
	after := all.Since(resumed)
	t.Logf("afterwards: %s; from zero %s", after, late.Took.Round(time.Millisecond))
	if failed := after.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed that began when the box went on, the last %s later:\n%s",
			len(failed), failed[len(failed)-1].At.Sub(resumed).Round(time.Millisecond), failed.List())
	}
	changeOnce(t, all, old, w.revision)
}

// changeOnce sees that every answer is of one revision or of another, and of
// the other alone once that has answered.
func changeOnce(t *testing.T, all load.Results, old, next string) {
	t.Helper()
	var first time.Time // answer of next
	for _, one := range all {
		if came := one.At.Add(one.Took); one.OK() && revision(one) == next && (first.IsZero() || came.Before(first)) {
			first = came
		}
	}
	for _, one := range all {
		switch name := revision(one); {
		case !one.OK() || name == next:
		case name != old:
			t.Errorf("an answer is neither of %s nor of %s: %s", old, next, one)
		case !first.IsZero() && one.At.After(first):
			t.Errorf("an answer of %s after %s had answered at %s: %s", old, next, first.Format("05.000"), one)
		}
	}
}
