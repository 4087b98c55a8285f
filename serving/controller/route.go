package controller

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

// routes reconciles a Route: the split of traffic in its status, from which
// the activator builds its table; the names in the cluster's DNS; and the
// way from the gateway.
type routes struct {
	*entrances
	force   *inForce
	clock   clock.PassiveClock
	renamed doorbell // rings when hosts may be others
}

func (r *routes) register(mgr manager.Manager) error {
	b := builder.ControllerManagedBy(mgr).
		For(&servingv1.Route{}).
		Owns(&corev1.Service{}).
		Watches(&servingv1.Configuration{}, handler.EnqueueRequestsFromMapFunc(r.routesOfConfiguration)).
		Watches(&servingv1.Revision{}, handler.EnqueueRequestsFromMapFunc(r.routesOfRevision))
	b = b.WatchesRawSource(&r.renamed)
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
	hosting, err := hostingOf(ctx, r.client, route, r.force.naming())
	if err != nil {
		return reconcile.Result{}, err
	}
	s.URL = desired.URL(route, "", hosting)
	s.Address = &servingv1.Addressable{URL: desired.ClusterURL(route, "", hosting.Names)}

	backends, err := r.backends(ctx, route)
	if err != nil {
		return reconcile.Result{}, err
	}
	due, err := assign(route, backends, hosting, r.duration(route), r.clock.Now())
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("writing down the rollout: %w", err)
	}
	if err := announce(route, hosting); err != nil {
		s.MarkIngressFailed("ErrorConfig", err.Error())
		return reconcile.Result{}, r.patchStatus(ctx, before, route)
	}
	if err := r.names(ctx, route); err != nil {
		return reconcile.Result{}, errors.Join(err, r.patchStatus(ctx, before, route))
	}
	hosts := desired.Hosts(route, hosting)
	again, err := r.open(ctx, entrance{
		of: route, status: entranceOf(route, due), hosts: hosts, object: ingress.VirtualService(route, hosts), answers: len(route.Status.Traffic) > 0,
		publish: func() error { return publishStatus(ctx, r.applier, before, route) },
	})
	return reconcile.Result{RequeueAfter: r.sooner(again, due)}, errors.Join(err, r.patchStatus(ctx, before, route))
}

// duration is how long the route's traffic is to take to another revision: by
// its annotation, or by config-network. What the annotation cannot mean has been
// refused.
func (r *routes) duration(route *servingv1.Route) time.Duration {
	if over, err := servingv1.RolloutDuration(route.Annotations); err == nil && over > 0 {
		return over
	}
	return r.force.naming().Network.Rollout
}

// sooner is the first of two times to come: again from now, or when traffic is
// due to move. Zero is neither.
func (r *routes) sooner(again time.Duration, due time.Time) time.Duration {
	if due.IsZero() {
		return again
	}
	left := max(due.Sub(r.clock.Now()), time.Millisecond) // 0 would be never
	if again == 0 {
		return left
	}
	return min(again, left)
}

// hostingOf is what the hosts of a route are, by its placeholder Services too.
func hostingOf(ctx context.Context, c client.Reader, route *servingv1.Route, names config.Names) (desired.Hosting, error) {
	var placeholders corev1.ServiceList
	if err := c.List(ctx, &placeholders, client.InNamespace(route.Namespace), client.MatchingLabels{servingv1.RouteLabel: route.Name}, glance); err != nil {
		return desired.Hosting{}, fmt.Errorf("listing placeholder services: %w", err)
	}
	return desired.NewHosting(route, names, placeholders.Items), nil
}

// announce writes the hosts of a route, and of its tags, into its status where
// they are not those that Knative's own templates make: the activator goes by
// it. Its error names a host that cannot be had.
func announce(route *servingv1.Route, hosting desired.Hosting) error {
	hosts := map[string][]string{}
	own := true
	for tag, url := range desired.Targets(route, hosting) {
		hosts[tag] = desired.AllHosts(route, tag, hosting)
		own = own && slices.Equal(hosts[tag], servingv1.HostsOf(route, tag, url))
		for _, host := range hosts[tag] {
			if err := config.Wrong(host); err != nil {
				return fmt.Errorf("config-network: domain-template and tag-template make of route %s: %w", route.Name, err)
			}
		}
	}
	if own {
		annotate(&route.Status.Annotations, servingv1.HostsAnnotation, "")
		return nil
	}
	text, err := json.Marshal(hosts)
	annotate(&route.Status.Annotations, servingv1.HostsAnnotation, string(text))
	return err
}

// place makes a placeholder Service, or leads one that is there where it is to
// lead. Its labels and annotations are those of the route when it was made, and
// what people have written since.
func (r *routes) place(ctx context.Context, want *corev1.Service) error {
	id := child{want.GroupVersionKind(), client.ObjectKeyFromObject(want)}
	current, err := r.current(ctx, id)
	if err != nil {
		return err
	}
	there, ok := current.(*corev1.Service)
	switch {
	case !ok:
		if err := r.client.Create(ctx, want, fieldOwner); err != nil {
			return fmt.Errorf("creating placeholder service %s: %w", want.Name, err)
		}
		return nil
	case !sameController(there, want):
		return fmt.Errorf("%s %q %w", id.kind.Kind, want.Name, errNotOwned)
	}
	right := there.DeepCopy()
	right.Spec.Type, right.Spec.ExternalName, right.Spec.Ports = want.Spec.Type, want.Spec.ExternalName, want.Spec.Ports
	for _, key := range []string{servingv1.RouteLabel, servingv1.ServiceLabel} {
		metav1.SetMetaDataLabel(&right.ObjectMeta, key, want.Labels[key])
	}
	if equality.Semantic.DeepEqual(there, right) {
		return nil
	}
	if err := r.client.Patch(ctx, right, client.MergeFrom(there), fieldOwner); err != nil {
		return fmt.Errorf("mending placeholder service %s: %w", want.Name, err)
	}
	return nil
}

// names keeps the placeholder Services of the route and of its tags.
func (r *routes) names(ctx context.Context, route *servingv1.Route) error {
	keep := map[string]bool{}
	for _, want := range desired.PlaceholderServices(route, r.force.naming()) {
		keep[want.Name] = true
		if err := r.place(ctx, want); errors.Is(err, errNotOwned) {
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
