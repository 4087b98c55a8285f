package controller

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// services reconciles a Service: a Configuration and a Route of its name,
// and a status that mirrors theirs.
type services struct{ *applier }

func (r *services) register(mgr manager.Manager) error {
	return builder.ControllerManagedBy(mgr).
		For(&servingv1.Service{}).
		Owns(&servingv1.Configuration{}).
		Owns(&servingv1.Route{}).
		Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// Reconcile implements reconcile.ObjectReconciler.
func (r *services) Reconcile(ctx context.Context, svc *servingv1.Service) (reconcile.Result, error) {
	if !svc.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil // the children go with their owner
	}
	before := svc.DeepCopy()
	svc.Status.InitializeConditions()
	svc.Status.ObservedGeneration = svc.Generation

	config, err := r.configuration(ctx, svc)
	if err == nil {
		err = r.route(ctx, svc, config)
	}
	if err == nil && config.Status.ObservedGeneration != config.Generation {
		// Its own reconciler is at it, and brings us back. To write that down
		// would only be in the way of the new revision.
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, errors.Join(err, r.patchStatus(ctx, before, svc))
}

func (r *services) configuration(ctx context.Context, svc *servingv1.Service) (*servingv1.Configuration, error) {
	config, err := apply(ctx, r.applier, desired.Configuration(svc))
	switch {
	case errors.Is(err, errNotOwned):
		svc.Status.MarkConfigurationNotOwned(config.Name)
	case err != nil:
	case config.Status.ObservedGeneration != config.Generation:
		svc.Status.MarkConfigurationNotReconciled()
	default:
		svc.Status.PropagateConfigurationStatus(&config.Status)
	}
	return config, err
}

func (r *services) route(ctx context.Context, svc *servingv1.Service, config *servingv1.Configuration) error {
	route, err := apply(ctx, r.applier, desired.Route(svc))
	switch {
	case errors.Is(err, errNotOwned):
		svc.Status.MarkRouteNotOwned(route.Name)
		return err
	case err != nil:
		return err
	case route.Status.ObservedGeneration != route.Generation:
		svc.Status.MarkRouteNotReconciled()
		return nil
	}
	svc.Status.PropagateRouteStatus(&route.Status)
	if svc.Status.IsTrue(servingv1.ServiceRoutesReady) && !migrated(route, config.Status.LatestReadyRevisionName) {
		svc.Status.MarkRouteNotYetReady()
	}
	return nil
}

// migrated says whether traffic flows as the route's spec has it, to the
// latest ready revision where the spec asks for that.
func migrated(route *servingv1.Route, latestReady string) bool {
	if len(route.Status.Traffic) != len(route.Spec.Traffic) {
		return false
	}
	for i, want := range route.Spec.Traffic {
		name := want.RevisionName
		if name == "" {
			name = latestReady
		}
		if route.Status.Traffic[i].RevisionName != name {
			return false
		}
	}
	return true
}
