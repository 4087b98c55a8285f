package deploy

import (
	"context"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// attend tells of a revision that is live until ctx ends, or it is not the
// Service's newest any more: when it has failed, and when it is well again,
// which it is when it has been ready for a while. One that ends again and again
// has failed once.
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
