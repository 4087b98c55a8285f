// Package ingress says what a Route and a DomainMapping look like to Istio. It
// is pure, and the only package that knows Istio's types.
//
//	Route ──VirtualService──> VirtualService "<route>-ingress"
//	                            gateways: knative-serving/knative-ingress-gateway
//	                            hosts:    every host of the route
//	                            to:       the activator
//	DomainMapping ──Mapped──> the same of its one host
//
// The gateway sends every host to the activator, which alone knows the
// revisions behind it. So Istio's configuration changes when a route's hosts
// change, and a new revision needs none of it.
package ingress

import (
	istio "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
)

const (
	// Gateway is the Istio Gateway that takes requests from outside.
	Gateway = servingv1.Namespace + "/knative-ingress-gateway"

	activatorHost = "activator." + servingv1.Namespace + ".svc.cluster.local"
	activatorPort = 80

	// unseen are Envoy's names for a request of which nothing was sent: nobody
	// accepted the connection, it ended before, or the other side disowned it.
	// Envoy waits up to 250 ms before each attempt, so these last about 5 s:
	// an activator that was killed is back by then.
	unseen   = "connect-failure,refused-stream,reset-before-request"
	attempts = 40
)

// AddToScheme makes a scheme know Istio's networking types.
func AddToScheme(s *runtime.Scheme) error { return networkingv1.AddToScheme(s) }

// Kind is an empty object of the kind of a Route's or a DomainMapping's ingress,
// to watch.
func Kind() client.Object { return &networkingv1.VirtualService{} }

// KindList is an empty list of that kind.
func KindList() client.ObjectList { return &networkingv1.VirtualServiceList{} }

// Claim is what an object of that kind claims for itself.
type Claim struct {
	Namespace, Name string
	Owner           types.UID // of its controller; "" where it has none
	Hosts           []string
}

// Claims are the claims of a KindList.
func Claims(list client.ObjectList) []Claim {
	of, _ := list.(*networkingv1.VirtualServiceList)
	var claims []Claim
	for _, v := range of.Items {
		c := Claim{Namespace: v.Namespace, Name: v.Name, Hosts: v.Spec.Hosts}
		if owner := metav1.GetControllerOf(v); owner != nil {
			c.Owner = owner.UID
		}
		claims = append(claims, c)
	}
	return claims
}

// ActivatorRules say how the gateway and sidecars speak to the activator: in
// the protocol in which a request came, and within the mesh's mutual TLS or in
// the clear. The gateway knows it by one Service and sidecars by another. The
// chart makes the rules; what they say of TLS is the controller's.
func ActivatorRules(within bool) []*networkingv1.DestinationRule {
	return []*networkingv1.DestinationRule{
		activatorRule("activator", within, &istio.TrafficPolicy{ConnectionPool: &istio.ConnectionPoolSettings{
			Http: &istio.ConnectionPoolSettings_HTTPSettings{UseClientProtocol: true},
		}}),
		// What Istio does anyway: without TLS the policy would be empty, and
		// that is refused.
		activatorRule("activator-local", within, &istio.TrafficPolicy{LoadBalancer: &istio.LoadBalancerSettings{
			LbPolicy: &istio.LoadBalancerSettings_Simple{Simple: istio.LoadBalancerSettings_LEAST_REQUEST},
		}}),
	}
}

func activatorRule(service string, within bool, policy *istio.TrafficPolicy) *networkingv1.DestinationRule {
	if within {
		policy.Tls = &istio.ClientTLSSettings{Mode: istio.ClientTLSSettings_ISTIO_MUTUAL}
	}
	return &networkingv1.DestinationRule{
		TypeMeta:   metav1.TypeMeta{APIVersion: networkingv1.SchemeGroupVersion.String(), Kind: "DestinationRule"},
		ObjectMeta: metav1.ObjectMeta{Name: service, Namespace: servingv1.Namespace},
		Spec:       istio.DestinationRule{Host: service + "." + servingv1.Namespace + ".svc.cluster.local", TrafficPolicy: policy},
	}
}

// VirtualService leads a route's hosts from the gateway to the activator.
func VirtualService(route *servingv1.Route, hosts []string) *networkingv1.VirtualService {
	return virtualService(metav1.ObjectMeta{
		Name:            servingv1.IngressName(route.Name),
		Namespace:       route.Namespace,
		Labels:          map[string]string{servingv1.RouteLabel: route.Name},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(route, servingv1.Kind("Route"))},
	}, hosts)
}

// Mapped is the same for the host of a mapping. Its name is the host, which no
// route's can be: it has a dot.
func Mapped(m *servingv1beta1.DomainMapping) *networkingv1.VirtualService {
	return virtualService(metav1.ObjectMeta{
		Name:            m.Name,
		Namespace:       m.Namespace,
		Labels:          map[string]string{servingv1.RouteLabel: m.Spec.Ref.Name},
		OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(m, servingv1beta1.Kind("DomainMapping"))},
	}, []string{m.Name})
}

// virtualService leads requests for hosts from the gateway to the activator.
// Istio does not limit their time: the activator holds a request while its
// revision starts, and queue-proxy enforces the revision's own limits. It
// tries again only what the activator has seen nothing of.
func virtualService(meta metav1.ObjectMeta, hosts []string) *networkingv1.VirtualService {
	return &networkingv1.VirtualService{
		TypeMeta: metav1.TypeMeta{
			APIVersion: networkingv1.SchemeGroupVersion.String(),
			Kind:       "VirtualService",
		},
		ObjectMeta: meta,
		Spec: istio.VirtualService{
			Hosts:    hosts,
			Gateways: []string{Gateway},
			Http: []*istio.HTTPRoute{{
				Route: []*istio.HTTPRouteDestination{{
					Destination: &istio.Destination{
						Host: activatorHost,
						Port: &istio.PortSelector{Number: activatorPort},
					},
				}},
				Retries: &istio.HTTPRetry{Attempts: attempts, RetryOn: unseen},
			}},
		},
	}
}
