package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// revisions reconciles a Revision: its images by digest, as many pods as the
// autoscaler wants, a status that says what became of them, and the routes
// that name it.
type revisions struct {
	*applier
	scaler   *scaler
	answers  *answers
	digests  *digests
	fleet    *fleet
	events   events.EventRecorder
	force    *inForce
	deadline time.Duration // where config-deployment says none
}

func (r *revisions) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).
		For(&servingv1.Revision{}).
		Owns(&corev1.Pod{}).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.revisionsOfNamespace)).
		Watches(&servingv1.Revision{}, handler.Funcs{DeleteFunc: r.forget}).
		Watches(&servingv1.Route{}, handler.EnqueueRequestsFromMapFunc(revisionsOfRoute)).
		Watches(&servingv1.Configuration{}, handler.EnqueueRequestsFromMapFunc(r.revisionsOfConfiguration)).
		WatchesRawSource(&r.scaler.doorbell).
		WatchesRawSource(&r.answers.doorbell).
		WatchesRawSource(&r.digests.doorbell).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// Reconcile implements reconcile.ObjectReconciler.
func (r *revisions) Reconcile(ctx context.Context, rev *servingv1.Revision) (reconcile.Result, error) {
	if !rev.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // its pods go with it
	}
	routing, err := r.routing(ctx, rev)
	if err != nil {
		return reconcile.Result{}, err
	}
	before := rev.DeepCopy()
	rev.Status.InitializeConditions()
	rev.Status.ObservedGeneration = rev.Generation

	again, err := r.run(ctx, rev, routing)
	r.tell(before, rev)
	err = errors.Join(err, r.patchStatus(ctx, before, rev), r.mark(ctx, rev, routing))
	return reconcile.Result{RequeueAfter: again}, err
}

// run brings the revision's pods to the wanted number and its status to what
// they do. It returns when to look again, if not only when something happens.
func (r *revisions) run(ctx context.Context, rev *servingv1.Revision, to routing) (time.Duration, error) {
	namespace, err := r.inMesh(ctx, rev.Namespace)
	if err != nil {
		return 0, err
	}
	if again, resolved := r.resolve(ctx, rev); !resolved {
		return again, nil
	}
	var pods corev1.PodList
	err = r.client.List(ctx, &pods, client.InNamespace(rev.Namespace),
		client.MatchingLabels{servingv1.RevisionUIDLabel: string(rev.UID)}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return 0, fmt.Errorf("listing pods: %w", err)
	}
	seen := observe(pods.Items, r.answers.since, proofOf(rev), time.Now())
	seen.sidecars = sidecarsOf(rev, namespace, seen.alive)
	if seen.answering == 0 {
		if seen.blocked, err = r.blocked(ctx, seen.alive); err != nil {
			return 0, err
		}
	}
	deadline := progressDeadline(rev, cmp.Or(r.force.podsOfAll().ProgressDeadline, r.deadline))
	quiet := to.latest && rev.Status.DesiredReplicas != nil && *rev.Status.DesiredReplicas <= 1
	seen.adopted = r.fleet.standbys.adopted(seen.alive, r.answers.of, quiet, time.Now())
	seen.lose(seen.adopted.lost)
	wanted := r.scaler.scale(ctx, rev, seen, to, deadline)

	backOff, err := r.fleet.bring(ctx, rev, seen, wanted)
	late := report(&rev.Status, seen, wanted, deadline, time.Now())
	r.fleet.standbys.explain(rev, seen.adopted)
	if err != nil && seen.answering == 0 {
		rev.Status.MarkResourcesAvailableFalse(reasonFailedCreate, err.Error())
	}
	return soonest(soonest(soonest(backOff, late), seen.settled), seen.adopted.again), err
}

// companyProof is how long the pods of a new revision with containers beside
// the serving one must have answered: a kubelet looks once a second whether a
// container has ended, of which queue-proxy knows nothing.
const companyProof = time.Second

// proofOf is how long rev's pods must have answered until it is believed.
func proofOf(rev *servingv1.Revision) time.Duration {
	if len(rev.Spec.Containers) > 1 && !rev.Status.IsTrue(servingv1.RevisionResourcesAvailable) {
		return companyProof
	}
	return 0
}

// forget drops what is remembered of a revision that is gone.
func (r *revisions) forget(_ context.Context, e event.DeleteEvent, _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	r.scaler.Forget(client.ObjectKeyFromObject(e.Object))
	r.fleet.failures.DeleteEntry(string(e.Object.GetUID()))
	r.digests.forget(e.Object.GetUID())
}

// resolve names every image by digest in the revision's status, once.
func (r *revisions) resolve(ctx context.Context, rev *servingv1.Revision) (again time.Duration, resolved bool) {
	if len(rev.Status.ContainerStatuses) > 0 {
		return 0, true
	}
	var statuses []servingv1.ContainerStatus
	for _, c := range rev.Spec.Containers {
		digest, known, err := r.digests.of(ctx, rev, c.Image)
		switch {
		case err != nil:
			rev.Status.MarkContainerHealthyFalse(servingv1.ReasonContainerMissing, servingv1.MessageImageUnavailable(c.Image, err.Error()))
			return digestRetry, false
		case !known:
			rev.Status.MarkResourcesAvailableUnknown(servingv1.ReasonResolvingDigests, "")
			return 0, false
		}
		statuses = append(statuses, servingv1.ContainerStatus{Name: c.Name, ImageDigest: digest})
	}
	rev.Status.ContainerStatuses = statuses
	r.digests.forget(rev.UID)
	return 0, true
}

// tell records what has changed about the revision, for a person.
func (r *revisions) tell(before, after *servingv1.Revision) {
	if after.IsReady() && !before.IsReady() {
		r.events.Eventf(after, nil, corev1.EventTypeNormal, "Ready", "Reconcile", "Revision answers")
	}
	if !after.IsFailed() {
		return
	}
	was, is := before.Status.Condition(servingv1.ConditionReady), after.Status.Condition(servingv1.ConditionReady)
	if was == nil || was.Reason != is.Reason {
		r.events.Eventf(after, nil, corev1.EventTypeWarning, is.Reason, "Reconcile", "%s", is.Message)
	}
}

// soonest is the shorter of two waits; 0 is no wait at all.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return a + b
	}
	return min(a, b)
}
