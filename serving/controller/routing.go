package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// routing is a revision's part in traffic.
type routing struct {
	routes []string // those that name it, sorted
	state  string   // the label's value
	latest bool     // no newer revision is in the making
}

// reachable says whether a route leads to the revision, or will as soon as it
// is ready.
func (r routing) reachable() bool { return r.state != desired.RoutingReserve }

// routing asks who names rev. A revision that no route names is pending if
// its Configuration's template asks for it, which the Configuration's spec
// says before its status does, else in reserve.
func (r *revisions) routing(ctx context.Context, rev *servingv1.Revision) (routing, error) {
	routes, err := routesOf(ctx, r.client, rev)
	if err != nil {
		return routing{}, err
	}
	var c servingv1.Configuration
	key := types.NamespacedName{Namespace: rev.Namespace, Name: rev.Labels[servingv1.ConfigurationLabel]}
	if err := r.client.Get(ctx, key, &c, glance); client.IgnoreNotFound(err) != nil {
		return routing{}, fmt.Errorf("reading configuration %s: %w", key.Name, err)
	}
	latest := desired.RevisionName(&c) == rev.Name
	switch {
	case len(routes) > 0:
		return routing{routes, desired.RoutingActive, latest}, nil
	case latest:
		return routing{nil, desired.RoutingPending, latest}, nil
	}
	return routing{nil, desired.RoutingReserve, latest}, nil
}

// mark writes onto rev which routes name it: the label by which the
// collection of old revisions and kn tell a revision in use from one that
// only waits for a rollback.
func (r *revisions) mark(ctx context.Context, rev *servingv1.Revision, to routing) error {
	named := strings.Join(to.routes, ",")
	moved := rev.Labels[servingv1.RoutingStateLabel] != to.state
	if !moved && rev.Annotations[servingv1.RoutesAnnotation] == named {
		return nil
	}
	marked := rev.DeepCopy()
	metav1.SetMetaDataLabel(&marked.ObjectMeta, servingv1.RoutingStateLabel, to.state)
	metav1.SetMetaDataAnnotation(&marked.ObjectMeta, servingv1.RoutesAnnotation, named)
	if named == "" {
		delete(marked.Annotations, servingv1.RoutesAnnotation)
	}
	if moved {
		metav1.SetMetaDataAnnotation(&marked.ObjectMeta, servingv1.RoutingStateModified, time.Now().UTC().Format(time.RFC3339))
	}
	if err := r.client.Patch(ctx, marked, client.MergeFrom(rev), fieldOwner); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("marking the routing state: %w", err)
	}
	return nil
}

// routesOf names the routes that name rev, sorted.
func routesOf(ctx context.Context, c client.Reader, rev *servingv1.Revision) ([]string, error) {
	var list servingv1.RouteList
	if err := c.List(ctx, &list, client.InNamespace(rev.Namespace), glance); err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}
	var names []string
	for i := range list.Items {
		route := &list.Items[i]
		if route.DeletionTimestamp.IsZero() && slices.Contains(named(route), rev.Name) {
			names = append(names, route.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// named are the revisions that a route sends traffic to, or is asked to.
func named(route *servingv1.Route) []string {
	var names []string
	for _, t := range slices.Concat(route.Status.Traffic, route.Spec.Traffic) {
		if t.RevisionName != "" {
			names = append(names, t.RevisionName)
		}
	}
	return names
}

// revisionsOfRoute maps a Route to the Revisions it names.
func revisionsOfRoute(_ context.Context, obj client.Object) []reconcile.Request {
	route, ok := obj.(*servingv1.Route)
	if !ok {
		return nil
	}
	return requests(route.Namespace, named(route))
}

// revisionsOfConfiguration maps a Configuration to the Revisions whose
// routing state may change with it.
func (r *revisions) revisionsOfConfiguration(ctx context.Context, obj client.Object) []reconcile.Request {
	c, ok := obj.(*servingv1.Configuration)
	if !ok {
		return nil
	}
	list, err := revisionsOf(ctx, r.client, c)
	if err != nil {
		return nil // the cache has stopped, and the controller with it
	}
	names := []string{desired.RevisionName(c)}
	for i := range list {
		if list[i].Labels[servingv1.RoutingStateLabel] == desired.RoutingPending {
			names = append(names, list[i].Name)
		}
	}
	return requests(c.Namespace, names)
}

func requests(namespace string, names []string) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(names))
	for _, name := range names {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}})
	}
	return out
}
