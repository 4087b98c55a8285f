package deploy

import (
	"context"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// attend tells of a revision that is live until ctx ends, or it is not the
// Service's newest any more: when it has failed, and when it is well again,
// which it is when it has been ready for a while. One that ends again and again
// has failed once. When somebody gives the traffic to another, or back to it, is
// told too.
func (w *waiting) attend(ctx context.Context) error {
	const while = 2 // times Slow
	failed := false
	var well <-chan time.Time
	for {
		bell := w.bell()
		now, err := w.observe(ctx)
		if err != nil {
			return err
		}
		if now.revision == nil || now.service.Status.LatestCreatedRevisionName != w.revision {
			return nil
		}
		w.now = now
		if f := follows(now.service.Spec.Traffic, w.revision); f != w.follows {
			w.follows = f
			w.moved()
		}
		switch {
		case now.revision.Status.IsFalse(servingv1.ConditionReady):
			well = nil
			if !failed {
				failed = true
				reason, _ := failure(now, w.service.Generation)
				w.say(Report{Stage: Failing, Revision: w.revision, Reason: reason, Log: w.log(ctx)})
			}
		case failed && well == nil && now.revision.Status.IsTrue(servingv1.ConditionReady):
			well = time.After(while * w.slow)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-bell:
		case <-well:
			failed, well = false, nil
			w.say(Report{Stage: Well, Revision: w.revision})
		}
	}
}

// moved tells where the traffic goes now.
func (w *waiting) moved() {
	r := Report{Stage: Moved, Revision: w.revision}
	if !w.follows {
		r.Pinned, r.Hint = w.pinned(w.now.service, w.revision)
		r.Revision = mostPinned(w.now.service.Spec.Traffic)
	}
	w.say(r)
}
