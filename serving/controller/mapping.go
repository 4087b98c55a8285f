package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

// mappings reconciles a DomainMapping: whose the host is, and the way from the
// gateway. Where the host leads the activator has from the Route itself.
type mappings struct{ *entrances }

func (m *mappings) register(mgr manager.Manager) error {
	b := builder.ControllerManagedBy(mgr).
		For(&servingv1beta1.DomainMapping{}).
		Watches(&servingv1beta1.DomainMapping{}, handler.EnqueueRequestsFromMapFunc(m.ofHost)).
		Watches(&servingv1.Route{}, handler.EnqueueRequestsFromMapFunc(m.ofRoute))
	if m.gateway != nil {
		b = b.Owns(ingress.Kind())
	}
	return b.Complete(reconcile.AsReconciler(mgr.GetClient(), m))
}

// Reconcile implements reconcile.ObjectReconciler.
func (m *mappings) Reconcile(ctx context.Context, dm *servingv1beta1.DomainMapping) (reconcile.Result, error) {
	if !dm.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	before := dm.DeepCopy()
	s := &dm.Status
	s.InitializeConditions()
	s.ObservedGeneration = dm.Generation
	s.MarkTLSNotEnabled()
	s.URL = servingv1.URL(dm.Name)
	s.Address = &servingv1.Addressable{URL: s.URL}

	if err := m.claim(ctx, dm); err != nil {
		return reconcile.Result{}, err
	}
	route, err := m.resolve(ctx, dm)
	if err != nil {
		return reconcile.Result{}, err
	}
	to := entrance{
		of: dm, status: s, hosts: []string{dm.Name}, object: ingress.Mapped(dm), answers: true,
		publish: func() error { return publishStatus(ctx, m.applier, before, dm) },
	}
	if !dm.HasHost() || route == nil || len(route.Status.Traffic) == 0 {
		s.MarkIngressNotConfigured() // nothing would answer
		return reconcile.Result{}, errors.Join(m.withdraw(ctx, to), m.patchStatus(ctx, before, dm))
	}
	again, err := m.open(ctx, to)
	return reconcile.Result{RequeueAfter: again}, errors.Join(err, m.patchStatus(ctx, before, dm))
}

// claim says whose the host is: a Route's that has it by its name, else the
// first DomainMapping's.
func (m *mappings) claim(ctx context.Context, dm *servingv1beta1.DomainMapping) error {
	var routes servingv1.RouteList
	if err := m.client.List(ctx, &routes, glance); err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}
	for i := range routes.Items {
		if r := &routes.Items[i]; r.HasHost(dm.Name) {
			dm.Status.MarkClaimedBy("Route " + r.Namespace + "/" + r.Name)
			return nil
		}
	}
	all, err := m.named(ctx, dm.Name)
	if err != nil {
		return err
	}
	if first := firstOf(append(all, *dm)); first.UID != dm.UID {
		dm.Status.MarkClaimedBy("DomainMapping " + first.Namespace + "/" + first.Name)
		return nil
	}
	dm.Status.MarkClaimed()
	return nil
}

// firstOf is the one of several DomainMappings of a host that has it, or is to
// have it: who has it keeps it, and the oldest comes next.
func firstOf(all []servingv1beta1.DomainMapping) *servingv1beta1.DomainMapping {
	first := slices.MinFunc(all, func(a, b servingv1beta1.DomainMapping) int {
		switch {
		case a.HasHost() && !b.HasHost():
			return -1
		case b.HasHost() && !a.HasHost():
			return 1
		}
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace))
	})
	return &first
}

// named are the DomainMappings of a host, in all namespaces, that stay.
func (m *mappings) named(ctx context.Context, host string) ([]servingv1beta1.DomainMapping, error) {
	var list servingv1beta1.DomainMappingList
	if err := m.client.List(ctx, &list, glance); err != nil {
		return nil, fmt.Errorf("listing domain mappings: %w", err)
	}
	var found []servingv1beta1.DomainMapping // the list is the cache's own
	for i := range list.Items {
		if dm := &list.Items[i]; dm.Name == host && dm.DeletionTimestamp.IsZero() {
			found = append(found, *dm)
		}
	}
	return found, nil
}

// resolve is the Route behind the reference, or nil where there is none.
func (m *mappings) resolve(ctx context.Context, dm *servingv1beta1.DomainMapping) (*servingv1.Route, error) {
	ref := dm.Spec.Ref
	route := &servingv1.Route{}
	err := m.client.Get(ctx, client.ObjectKey{Namespace: dm.Namespace, Name: ref.Name}, route, glance)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("reading route %s: %w", ref.Name, err)
	case err != nil || !route.DeletionTimestamp.IsZero() || ref.Kind == "Service" && !ofService(route):
		dm.Status.MarkReferenceNotResolved(fmt.Sprintf("There is no %s %q in namespace %q, or it has no route yet.", ref.Kind, ref.Name, dm.Namespace))
		return nil, nil
	}
	dm.Status.MarkReferenceResolved()
	return route, nil
}

func ofService(route *servingv1.Route) bool {
	owner := metav1.GetControllerOf(route)
	return owner != nil && owner.Kind == "Service"
}

// ofHost maps a DomainMapping to the others of its host: it may be theirs when
// this one goes.
func (m *mappings) ofHost(ctx context.Context, obj client.Object) []reconcile.Request {
	all, err := m.named(ctx, obj.GetName())
	if err != nil {
		return nil // the cache has stopped, and the controller with it
	}
	var found []reconcile.Request
	for i := range all {
		if all[i].UID != obj.GetUID() {
			found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&all[i])})
		}
	}
	return found
}

// ofRoute maps a Route to the DomainMappings that lead to it, and those whose
// host it has.
func (m *mappings) ofRoute(ctx context.Context, obj client.Object) []reconcile.Request {
	route, ok := obj.(*servingv1.Route)
	if !ok {
		return nil
	}
	var list servingv1beta1.DomainMappingList
	if err := m.client.List(ctx, &list, glance); err != nil {
		return nil // the cache has stopped, and the controller with it
	}
	var found []reconcile.Request
	for i := range list.Items {
		dm := &list.Items[i]
		if dm.Namespace == route.Namespace && dm.Spec.Ref.Name == route.Name || route.HasHost(dm.Name) {
			found = append(found, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(dm)})
		}
	}
	return found
}
