package desired

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
)

// ActivatorHost is where the names of routes lead in the cluster's DNS.
const ActivatorHost = "activator-local." + servingv1.Namespace + ".svc.cluster.local"

// PlaceholderServices make a route's name, and each tag's, a name of the
// cluster's DNS. They lead to the activator, which knows the hosts. The
// route's own comes first.
func PlaceholderServices(r *servingv1.Route, names config.Names) []*corev1.Service {
	services := []*corev1.Service{placeholder(r, r.Name)}
	for _, tag := range Tags(r) {
		services = append(services, placeholder(r, names.Label(tag, r.Name)))
	}
	return services
}

func placeholder(r *servingv1.Route, name string) *corev1.Service {
	labels := merged(r.Labels, map[string]string{servingv1.RouteLabel: r.Name})
	delete(labels, servingv1.VisibilityLabel) // here it is people's, and says whether this name is for the cluster alone
	if _, ok := labels[servingv1.ServiceLabel]; !ok {
		labels[servingv1.ServiceLabel] = r.Name
	}
	return &corev1.Service{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{
			Name:            name,
			Namespace:       r.Namespace,
			Labels:          labels,
			Annotations:     handedDown(r.Annotations),
			OwnerReferences: ownedBy(r, "Route"),
		},
		Spec: corev1.ServiceSpec{
			Type:            corev1.ServiceTypeExternalName,
			ExternalName:    ActivatorHost,
			SessionAffinity: corev1.ServiceAffinityNone,
			Ports: []corev1.ServicePort{{
				Name: "http", Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP,
			}},
		},
	}
}

// Hosting says what the hosts of one route are.
type Hosting struct {
	config.Names
	// Local are the tags, with "" for the route itself, that are not to be
	// reached from outside, though the route is.
	Local map[string]bool
}

// NewHosting has it from the route's placeholder Services, as they are: one
// with the label of visibility makes its name local.
func NewHosting(r *servingv1.Route, names config.Names, placeholders []corev1.Service) Hosting {
	said := map[string]bool{}
	for i := range placeholders {
		if s := &placeholders[i]; metav1.IsControlledBy(s, r) {
			said[s.Name] = s.Labels[servingv1.VisibilityLabel] == servingv1.VisibilityClusterLocal
		}
	}
	local := map[string]bool{}
	for _, tag := range append([]string{""}, Tags(r)...) {
		local[tag] = said[names.Label(tag, r.Name)]
	}
	return Hosting{names, local}
}

// Tags are the tags of a route's targets, in their order.
func Tags(r *servingv1.Route) []string {
	var tags []string
	for _, t := range r.Spec.Traffic {
		if t.Tag != "" {
			tags = append(tags, t.Tag)
		}
	}
	return tags
}

// Targets are the tags of a route, with "" for the route itself, and where each
// answers.
func Targets(r *servingv1.Route, h Hosting) map[string]string {
	out := map[string]string{}
	for _, tag := range append([]string{""}, Tags(r)...) {
		out[tag] = URL(r, tag, h)
	}
	return out
}

// Hosts are the hosts of a route, and of its tags, that the gateway serves:
// under the box's domain, and under localhost, which a browser finds without
// a line in /etc/hosts. What is cluster-local has none.
func Hosts(r *servingv1.Route, h Hosting) []string {
	var hosts []string
	for _, tag := range append([]string{""}, Tags(r)...) {
		hosts = append(hosts, public(r, tag, h)...)
	}
	return hosts
}

func public(r *servingv1.Route, tag string, h Hosting) []string {
	if ClusterLocal(r, tag, h) {
		return nil
	}
	return []string{h.Host(r, tag, h.Domain(r)), h.Host(r, tag, "localhost")}
}

// AllHosts are the hosts of a route, or of a tag of it, in the cluster and
// outside, in the order of servingv1.HostsOf.
func AllHosts(r *servingv1.Route, tag string, h Hosting) []string {
	hosts := servingv1.ClusterHosts("", h.Label(tag, r.Name), r.Namespace)
	if out := public(r, tag, h); out != nil {
		hosts = append(hosts, out[1], out[0])
	}
	return hosts
}

// URL is where a route, or a tag of it, answers: outside the cluster where it
// is public, else inside.
func URL(r *servingv1.Route, tag string, h Hosting) string {
	if ClusterLocal(r, tag, h) {
		return ClusterURL(r, tag, h.Names)
	}
	return servingv1.URL(h.Host(r, tag, h.Domain(r)))
}

// ClusterURL is where a route, or a tag of it, answers inside the cluster.
func ClusterURL(r *servingv1.Route, tag string, names config.Names) string {
	return servingv1.URL(servingv1.ClusterHosts("", names.Label(tag, r.Name), r.Namespace)[0])
}

// ClusterLocal says that a route, or a tag of it, is not to be reached from
// outside: the route says so, or the placeholder Service, or the domain is the
// cluster's own.
func ClusterLocal(r *servingv1.Route, tag string, h Hosting) bool {
	return r.Labels[servingv1.VisibilityLabel] == servingv1.VisibilityClusterLocal || h.Local[tag] ||
		h.Domain(r) == servingv1.ClusterDomain
}
