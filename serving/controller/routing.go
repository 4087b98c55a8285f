package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// markRouting writes onto rev which routes name it: the label by which the
// autoscaler, the collection of old revisions and kn tell a revision in use
// from one that only waits for a rollback.
func (r *revisions) markRouting(ctx context.Context, rev *servingv1.Revision) error {
	routes, err := routesOf(ctx, r.client, rev)
	if err != nil {
		return err
	}
	state := desired.RoutingActive
	if len(routes) == 0 {
		if state, err = r.unrouted(ctx, rev); err != nil {
			return err
		}
	}
	named := strings.Join(routes, ",")
	if rev.Labels[servingv1.RoutingStateLabel] == state && rev.Annotations[servingv1.RoutesAnnotation] == named {
		return nil
	}
	marked := rev.DeepCopy()
	marked.Labels = merged(rev.Labels, servingv1.RoutingStateLabel, state)
	marked.Annotations = merged(rev.Annotations, servingv1.RoutesAnnotation, named)
	if named == "" {
		delete(marked.Annotations, servingv1.RoutesAnnotation)
	}
	if rev.Labels[servingv1.RoutingStateLabel] != state {
		marked.Annotations[servingv1.RoutingStateModified] = time.Now().UTC().Format(time.RFC3339)
	}
	if err := r.client.Patch(ctx, marked, client.MergeFrom(rev), fieldOwner); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("marking the routing state: %w", err)
	}
	return nil
}

// unrouted is the state of a revision that no route names: the one that its
// Configuration's template asks for will be, the others have been. The
// Configuration's spec says so before its status does.
func (r *revisions) unrouted(ctx context.Context, rev *servingv1.Revision) (string, error) {
	var c servingv1.Configuration
	key := types.NamespacedName{Namespace: rev.Namespace, Name: rev.Labels[servingv1.ConfigurationLabel]}
	switch err := r.client.Get(ctx, key, &c); {
	case apierrors.IsNotFound(err):
		return desired.RoutingReserve, nil
	case err != nil:
		return "", fmt.Errorf("reading configuration %s: %w", key.Name, err)
	case desired.RevisionName(&c) == rev.Name:
		return desired.RoutingPending, nil
	}
	return desired.RoutingReserve, nil
}

// routesOf names the routes that name rev, sorted.
func routesOf(ctx context.Context, c client.Reader, rev *servingv1.Revision) ([]string, error) {
	var list servingv1.RouteList
	if err := c.List(ctx, &list, client.InNamespace(rev.Namespace), client.UnsafeDisableDeepCopy); err != nil {
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

func merged(m map[string]string, key, value string) map[string]string {
	out := map[string]string{key: value}
	for k, v := range m {
		if k != key {
			out[k] = v
		}
	}
	return out
}
