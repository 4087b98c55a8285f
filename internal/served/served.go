// Package served knows which hosts a box's gateway serves beside those of its
// serving stack: the hosts of the VirtualServices that users have applied.
//
//	VirtualService --Hosts--> host --> Kubernetes' Service --Pods--> its pods
//
// It reads Istio's objects as they are and knows no more of them than where
// hosts and destinations are written. A box without Istio has none.
package served

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Host is a host that the gateway serves.
type Host struct {
	Name      string // as in a Host header
	Of        string // the VirtualService's name
	Namespace string // the VirtualService's
	Service   string // Kubernetes' own, that the host leads to first; with a dot and its namespace if that is another
}

var virtualServices = schema.GroupVersionKind{Group: "networking.istio.io", Version: "v1", Kind: "VirtualServiceList"}

// Hosts are those of all VirtualServices that are at a gateway and belong to
// no Route of the serving stack. Patterns such as *.example.com are no hosts.
func Hosts(ctx context.Context, c client.Client) ([]Host, error) {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(virtualServices)
	switch err := c.List(ctx, list); {
	case meta.IsNoMatchError(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing the VirtualServices: %w", err)
	}
	var hosts []Host
	for _, v := range list.Items {
		if metav1.GetControllerOf(&v) == nil {
			hosts = append(hosts, hostsOf(v)...)
		}
	}
	return hosts, nil
}

func hostsOf(v unstructured.Unstructured) []Host {
	gateways, _, _ := unstructured.NestedStringSlice(v.Object, "spec", "gateways")
	if !slices.ContainsFunc(gateways, func(g string) bool { return g != "mesh" }) {
		return nil
	}
	names, _, _ := unstructured.NestedStringSlice(v.Object, "spec", "hosts")
	var hosts []Host
	for _, name := range names {
		if !strings.Contains(name, "*") {
			hosts = append(hosts, Host{Name: strings.ToLower(name), Of: v.GetName(), Namespace: v.GetNamespace(), Service: destination(v)})
		}
	}
	return hosts
}

// destination is the host of a VirtualService's first destination.
func destination(v unstructured.Unstructured) string {
	routes, _, _ := unstructured.NestedSlice(v.Object, "spec", "http")
	for _, r := range routes {
		route, _ := r.(map[string]any)
		targets, _, _ := unstructured.NestedSlice(route, "route")
		for _, t := range targets {
			target, _ := t.(map[string]any)
			if host, _, _ := unstructured.NestedString(target, "destination", "host"); host != "" {
				return host
			}
		}
	}
	return ""
}

// Pods selects the pods behind a host, in their namespace. It is nil where
// the host leads to no Service of the box that selects any.
func Pods(ctx context.Context, c client.Client, h Host) (selector labels.Selector, namespace string, err error) {
	name, rest, _ := strings.Cut(h.Service, ".")
	namespace, _, _ = strings.Cut(rest, ".")
	namespace = cmp.Or(namespace, h.Namespace)
	var s corev1.Service
	if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &s); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return nil, namespace, nil
		}
		return nil, namespace, fmt.Errorf("asking for the Service %s: %w", name, err)
	}
	if len(s.Spec.Selector) == 0 {
		return nil, namespace, nil
	}
	return labels.SelectorFromSet(s.Spec.Selector), namespace, nil
}
