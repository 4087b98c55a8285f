package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// configurations reconciles a Configuration: the Revision that its template
// asks for, which of its Revisions is the latest ready one, and which old
// ones may go.
type configurations struct {
	*applier
	force *inForce
}

func (r *configurations) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).
		For(&servingv1.Configuration{}).
		Owns(&servingv1.Revision{}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// errNameTaken says that the revision's name belongs to a revision made of
// another template.
var errNameTaken = errors.New("is the name of a revision made of another template")

// Reconcile implements reconcile.ObjectReconciler.
func (r *configurations) Reconcile(ctx context.Context, c *servingv1.Configuration) (reconcile.Result, error) {
	if !c.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	before := c.DeepCopy()
	c.Status.InitializeConditions()
	c.Status.ObservedGeneration = c.Generation

	created, err := r.stamp(ctx, c)
	if err != nil {
		switch {
		case errors.Is(err, errNameTaken):
			c.Status.MarkRevisionCreationFailed(err.Error())
			err = nil // until the template changes
		case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
			c.Status.MarkRevisionCreationFailed(err.Error())
		}
		return reconcile.Result{}, errors.Join(err, r.patchStatus(ctx, before, c))
	}
	c.Status.SetLatestCreatedRevisionName(created.Name)
	revisions, err := revisionsOf(ctx, r.client, c)
	if err != nil {
		return reconcile.Result{}, err
	}
	observeRevisions(c, created, revisions)
	if err := r.patchStatus(ctx, before, c); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.collect(ctx, c, revisions)
}

// stamp finds or makes the Revision that c's template asks for. A name that
// the template brings may be an older revision's: that is a rollback.
func (r *configurations) stamp(ctx context.Context, c *servingv1.Configuration) (*servingv1.Revision, error) {
	want := desired.Revision(c, r.force.fields(), time.Now())
	var rev servingv1.Revision
	err := r.client.Get(ctx, client.ObjectKeyFromObject(want), &rev)
	switch {
	case apierrors.IsNotFound(err):
		if err := r.client.Create(ctx, want, fieldOwner); err != nil {
			return nil, fmt.Errorf("creating revision %s: %w", want.Name, err)
		}
		return want, nil
	case err != nil:
		return nil, fmt.Errorf("reading revision %s: %w", want.Name, err)
	case !rev.DeletionTimestamp.IsZero():
		return nil, fmt.Errorf("revision %s is being deleted", rev.Name)
	case !metav1.IsControlledBy(&rev, c), generation(&rev) != c.Generation && !r.same(&rev, c):
		return nil, fmt.Errorf("%s %w", rev.Name, errNameTaken)
	}
	return &rev, nil
}

// same says whether rev was made of a template like c's, by the defaults of its
// time.
func (r *configurations) same(rev *servingv1.Revision, c *servingv1.Configuration) bool {
	was := rev.DeepCopy()
	was.SetDefaults()
	want := desired.Revision(c, r.force.fields().As(&was.Spec), time.Now())
	return equality.Semantic.DeepEqual(rev.Spec, want.Spec)
}

// observeRevisions writes what c's revisions have come to into its status: the
// latest ready one keeps its traffic, and what the latest created one is, c is,
// though it may have been ready before.
func observeRevisions(c *servingv1.Configuration, created *servingv1.Revision, revisions []servingv1.Revision) {
	latest, before := latestReady(c, revisions), c.Status.LatestReadyRevisionName
	if latest != "" {
		c.Status.LatestReadyRevisionName = latest
	}
	ready := created.Status.Condition(servingv1.ConditionReady)
	switch {
	case latest == "" && before != "":
		c.Status.MarkLatestReadyDeleted()
	case created.IsFailed():
		c.Status.MarkLatestCreatedFailed(created.Name, ready.Message)
	case latest == created.Name && created.IsReady():
		c.Status.MarkLatestCreatedReady()
	case ready != nil && !created.IsReady():
		c.Status.MarkLatestCreatedPending(ready.Reason, ready.Message)
	}
}

// latestReady is the revision that takes the traffic of c's latest: the
// latest created one if it is ready, else the one that was so before it.
// Where that has been deleted, it is the newest ready one there is.
//
// The route's reconciler asks this too, rather than wait for c's status.
func latestReady(c *servingv1.Configuration, revisions []servingv1.Revision) string {
	var newest *servingv1.Revision
	previous := false
	for i := range revisions {
		rev := &revisions[i]
		if rev.Name == c.Status.LatestCreatedRevisionName && rev.IsReady() {
			return rev.Name
		}
		previous = previous || rev.Name == c.Status.LatestReadyRevisionName
		if rev.IsReady() && (newest == nil || generation(rev) > generation(newest)) {
			newest = rev
		}
	}
	switch {
	case previous:
		return c.Status.LatestReadyRevisionName
	case newest != nil:
		return newest.Name
	}
	return ""
}
