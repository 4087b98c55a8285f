package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

// routes reconciles a Route: the split of traffic in its status, from which
// the activator builds its table; the names in the cluster's DNS; and the
// way from the gateway.
type routes struct {
	*applier
	domain  string
	gateway *gateway // nil where there is no ingress
}

func (r *routes) register(mgr manager.Manager) error {
	b := builder.ControllerManagedBy(mgr).
		For(&servingv1.Route{}).
		Owns(&corev1.Service{}).
		Watches(&servingv1.Configuration{}, handler.EnqueueRequestsFromMapFunc(r.routesOfConfiguration)).
		Watches(&servingv1.Revision{}, handler.EnqueueRequestsFromMapFunc(r.routesOfRevision))
	if r.gateway != nil {
		b = b.Owns(ingress.Kind())
	}
	return b.Complete(reconcile.AsReconciler(mgr.GetClient(), r))
}

// Reconcile implements reconcile.ObjectReconciler.
func (r *routes) Reconcile(ctx context.Context, route *servingv1.Route) (reconcile.Result, error) {
	if !route.DeletionTimestamp.IsZero() {
		return reconcile.Result{}, nil
	}
	before := route.DeepCopy()
	s := &route.Status
	s.InitializeConditions()
	s.ObservedGeneration = route.Generation
	s.MarkTLSNotEnabled()
	s.URL = desired.URL(route, "", r.domain)
	s.Address = &servingv1.Addressable{URL: desired.ClusterURL(route, "")}

	backends, err := r.backends(ctx, route)
	if err != nil {
		return reconcile.Result{}, err
	}
	assign(route, backends, r.domain)
	if err := r.names(ctx, route); err != nil {
		return reconcile.Result{}, errors.Join(err, r.patchStatus(ctx, before, route))
	}
	again, err := r.ingress(ctx, before, route)
	return reconcile.Result{RequeueAfter: again}, errors.Join(err, r.patchStatus(ctx, before, route))
}

// names keeps the placeholder Services of the route and of its tags.
func (r *routes) names(ctx context.Context, route *servingv1.Route) error {
	keep := map[string]bool{}
	for _, want := range desired.PlaceholderServices(route) {
		keep[want.Name] = true
		if _, err := apply(ctx, r.applier, want); errors.Is(err, errNotOwned) {
			route.Status.MarkServiceNotOwned(want.Name)
			return err
		} else if err != nil {
			return err
		}
	}
	var services corev1.ServiceList
	if err := r.client.List(ctx, &services, client.InNamespace(route.Namespace), client.MatchingLabels{servingv1.RouteLabel: route.Name}); err != nil {
		return fmt.Errorf("listing placeholder services: %w", err)
	}
	for i := range services.Items {
		if s := &services.Items[i]; !keep[s.Name] && metav1.IsControlledBy(s, route) {
			if err := r.client.Delete(ctx, s); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("deleting placeholder service %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

// ingress leads the route's hosts from the gateway to the activator, and
// returns when to ask the gateway again whether it does. Before it asks, the
// activator must know the hosts: it has them from the status, which is
// written first.
func (r *routes) ingress(ctx context.Context, before, route *servingv1.Route) (time.Duration, error) {
	hosts := desired.Hosts(route, r.domain)
	if r.gateway == nil || len(hosts) == 0 {
		route.Status.MarkIngressReady()
		return 0, r.withdraw(ctx, route)
	}
	if _, err := apply(ctx, r.applier, ingress.VirtualService(route, hosts)); err != nil {
		if errors.Is(err, errNotOwned) {
			route.Status.MarkIngressFailed(servingv1.ReasonNotOwned, err.Error())
		}
		return 0, err
	}
	switch {
	case r.gateway.led(route.UID, hosts):
		route.Status.MarkIngressReady()
		return 0, nil
	case len(route.Status.Traffic) == 0:
		route.Status.MarkIngressNotConfigured() // nothing would answer
		return 0, nil
	}
	if err := r.patchStatus(ctx, before, route); err != nil {
		return 0, err
	}
	route.DeepCopyInto(before)
	if err := r.gateway.leads(ctx, route.UID, hosts); err != nil {
		return r.notLed(ctx, route, hosts, err)
	}
	route.Status.MarkIngressReady()
	return 0, nil
}

// notLed says why the gateway does not lead here yet. After a while another's
// object may be why.
func (r *routes) notLed(ctx context.Context, route *servingv1.Route, hosts []string, why error) (time.Duration, error) {
	text := "Waiting for the gateway: " + why.Error()
	route.Status.MarkIngressNotReady("Uninitialized", text)
	since, now := route.Status.Condition(servingv1.RouteIngressReady).LastTransitionTime.Time, time.Now()
	if now.Sub(since) < suspicious {
		return askAgain(since, now), nil
	}
	rivals, err := r.rivals(ctx, route, hosts)
	if err == nil && rivals != "" {
		route.Status.MarkIngressNotReady("HostTaken", text+". Its host is claimed by "+rivals+" too.")
	}
	return askAgain(since, now), err
}

// suspicious is how long the gateway takes at most where nothing is wrong.
const suspicious = 3 * time.Second

// askAgain is how long to wait before the gateway is asked again: hardly at
// all at first, for it takes Istio some ten milliseconds, and longer the
// longer it has not answered.
func askAgain(since, now time.Time) time.Duration {
	return min(max(now.Sub(since)/20, 10*time.Millisecond), 5*time.Second)
}

// withdraw takes away the ingress of a route that is to have none.
func (r *routes) withdraw(ctx context.Context, route *servingv1.Route) error {
	if r.gateway == nil {
		return nil
	}
	gone := ingress.VirtualService(route, nil)
	current, err := r.current(ctx, child{gone.GroupVersionKind(), client.ObjectKeyFromObject(gone)})
	if err != nil || current == nil || !metav1.IsControlledBy(current, route) {
		return err
	}
	if err := r.client.Delete(ctx, gone); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the ingress: %w", err)
	}
	return nil
}

// routesOfConfiguration maps a Configuration to the Routes that follow it.
func (r *routes) routesOfConfiguration(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.routesNaming(ctx, obj.GetNamespace(), func(t servingv1.TrafficTarget) bool { return t.ConfigurationName == obj.GetName() })
}

// routesOfRevision maps a Revision to the Routes that name it or follow its
// Configuration.
func (r *routes) routesOfRevision(ctx context.Context, obj client.Object) []reconcile.Request {
	configuration := obj.GetLabels()[servingv1.ConfigurationLabel]
	return r.routesNaming(ctx, obj.GetNamespace(), func(t servingv1.TrafficTarget) bool {
		return t.RevisionName == obj.GetName() || t.ConfigurationName != "" && t.ConfigurationName == configuration
	})
}

func (r *routes) routesNaming(ctx context.Context, namespace string, names func(servingv1.TrafficTarget) bool) []reconcile.Request {
	var list servingv1.RouteList
	if err := r.client.List(ctx, &list, client.InNamespace(namespace), glance); err != nil {
		return nil // the cache has stopped, and the controller with it
	}
	var found []string
	for i := range list.Items {
		if slices.ContainsFunc(list.Items[i].Spec.Traffic, names) {
			found = append(found, list.Items[i].Name)
		}
	}
	return requests(namespace, found)
}
