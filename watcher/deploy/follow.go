package deploy

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// followEvery is the time between two looks at an object on its way.
	followEvery = 100 * time.Millisecond
	// giveUp is how long pods may fail before Follow returns: what depends on a
	// neighbour may crash until that is there.
	giveUp = time.Minute
)

// NotRolledOutError says why an object will not be what its manifest says.
type NotRolledOutError struct{ Reason string }

func (e *NotRolledOutError) Error() string { return e.Reason }

// Follow tells of a placed object until it is rolled out, as `kubectl rollout
// status` means it, and returns then, or when it is sure not to be. A kind
// that nothing is made of is rolled out when it is there. A Service of the
// serving stack is followed as Wait does.
func (d *Deployer) Follow(ctx context.Context, p *Placed, tell func(Report)) error {
	if p.rollout != nil {
		return d.Wait(ctx, p.rollout, tell)
	}
	f := &following{Deployer: d, placed: p, tell: tell}
	ticker := time.NewTicker(followEvery)
	defer ticker.Stop()
	for {
		done, err := f.look(ctx)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// following is what one Follow has seen so far.
type following struct {
	*Deployer
	placed   *Placed
	tell     func(Report)
	failed   time.Time // when a pod was first seen to have failed
	slowSaid string
}

// look looks once and tells what is new.
func (f *following) look(ctx context.Context) (done bool, err error) {
	now := &unstructured.Unstructured{}
	now.SetGroupVersionKind(f.placed.Object.GroupVersionKind())
	switch err := f.client.Get(ctx, client.ObjectKeyFromObject(f.placed.Object), now); {
	case apierrors.IsNotFound(err):
		const reason = "somebody has deleted it" // as ErrDeleted says of a Service
		f.tell(Report{Stage: Failed, Reason: reason})
		return false, &NotRolledOutError{Reason: reason}
	case passing(err):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking at it: %w", err)
	}
	s := progressOf(now)
	if s.done {
		f.tell(Report{Stage: Live, Pod: time.Since(f.placed.Since)})
		return true, nil
	}
	pods, err := f.podsOf(ctx, now)
	if err != nil {
		return false, err
	}
	return false, f.judge(ctx, s, pods)
}

// judge tells of failure and of delay. Its error says that there is no hope.
func (f *following) judge(ctx context.Context, s progress, pods []corev1.Pod) error {
	reason, failed := trouble(pods)
	switch {
	case s.failed:
		if !failed {
			reason = s.reason
		}
		if f.failed.IsZero() {
			f.tell(Report{Stage: Failed, Reason: reason, Log: f.lastLines(ctx, pods)})
		}
		return &NotRolledOutError{Reason: reason}
	case failed && f.failed.IsZero():
		f.failed = time.Now()
		f.tell(Report{Stage: Failed, Reason: reason, Log: f.lastLines(ctx, pods)})
	case failed && time.Since(f.failed) > giveUp:
		return &NotRolledOutError{Reason: reason}
	case !failed && !f.failed.IsZero() && len(pods) > 0:
		f.failed = time.Time{} // it was started again, or another has its place
	case f.failed.IsZero() && time.Since(f.placed.Since) > f.slow:
		if reason := waitsFor(s, pods); reason != f.slowSaid {
			f.slowSaid = reason
			f.tell(Report{Stage: Slow, Reason: reason, Log: f.lastLines(ctx, pods)})
		}
	}
	return nil
}
