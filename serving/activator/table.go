package activator

import (
	"cmp"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/settings"
)

// defaultTimeout is Knative's for a revision that names none.
const defaultTimeout = 300 * time.Second

// objects are what a table is built from. They belong to the informers'
// cache and are only read.
type objects struct {
	routes    []servingv1.Route
	revisions []servingv1.Revision
	mappings  []servingv1beta1.DomainMapping
	pods      []corev1.Pod
	configs   []corev1.ConfigMap
}

// table says where each host's requests go and which pods there are. It is
// plain data, made of the objects alone.
type table struct {
	hosts     map[string]destination
	tagHeader bool // a header may choose a tag
	revisions map[types.NamespacedName]revisionSpec
	sidecars  bool // there are pods that have one of Istio's
}

// destination is where the requests of a host go.
type destination struct {
	split []share
	tag   string // whose host it is; empty for a route's own
	// byTag is where they go that name a tag in a header; nil where no header
	// counts, and for a tag's host, which has chosen.
	byTag map[string]types.NamespacedName
}

// share is a revision's part of a host's traffic.
type share struct {
	revision types.NamespacedName
	percent  int
}

// revisionSpec is what the road needs to know of a revision.
type revisionSpec struct {
	limit   int           // containerConcurrency; 0 means no limit
	timeout time.Duration // how long a request may wait, and then take to begin
	h2c     bool          // the container speaks HTTP/2 without TLS
	proven  bool          // it has been ready
	pods    []podSpec     // by name

	service, configuration string // whose it is; "" where that is not known
}

// podSpec is a pod that may be asked whether it answers, as soon as it has an
// address.
type podSpec struct {
	name    string
	uid     types.UID
	address string    // queue-proxy's, host and port; "" while it has none
	ready   bool      // kubelet's word
	held    bool      // kubelet has something against it that queue-proxy does not know
	account string    // the service account as which its sidecar shows itself; "" where it has none
	decided time.Time // when the controller decided to make it; zero where it has not said so
}

// build makes the table. A revision is in it when there is an object of it,
// a pod, or a route that names it: the three arrive in any order.
func build(o objects) *table {
	t := &table{
		hosts:     make(map[string]destination),
		tagHeader: settings.ByTagHeader(inForce(o.configs)),
		revisions: make(map[types.NamespacedName]revisionSpec),
	}
	for i := range o.revisions {
		r := &o.revisions[i]
		t.revisions[types.NamespacedName{Namespace: r.Namespace, Name: r.Name}] = specOf(r)
	}
	for i := range o.pods {
		t.addPod(&o.pods[i])
	}
	for key, spec := range t.revisions {
		slices.SortFunc(spec.pods, func(a, b podSpec) int { return cmp.Compare(a.name, b.name) })
		t.revisions[key] = spec
	}
	// Tags first: where a tag's host is also a route's own, the route has it.
	for i := range o.routes {
		t.addTags(&o.routes[i])
	}
	for i := range o.routes {
		t.addRoute(&o.routes[i])
	}
	for i := range o.mappings {
		t.addMapping(&o.mappings[i])
	}
	return t
}

// inForce is what the controller has taken of the box's ConfigMaps.
func inForce(configs []corev1.ConfigMap) map[string]string {
	for i := range configs {
		if configs[i].Name == settings.InForceConfig {
			return configs[i].Data
		}
	}
	return nil
}

func specOf(r *servingv1.Revision) revisionSpec {
	s := revisionSpec{
		timeout: defaultTimeout, service: r.Labels[servingv1.ServiceLabel], configuration: r.Labels[servingv1.ConfigurationLabel],
		proven: r.Status.IsTrue(servingv1.ConditionReady),
	}
	if n := r.Spec.ContainerConcurrency; n != nil {
		s.limit = int(*n)
	}
	if n := r.Spec.TimeoutSeconds; n != nil && *n > 0 {
		s.timeout = time.Duration(*n) * time.Second
	}
	for _, c := range r.Spec.Containers {
		for _, p := range c.Ports {
			s.h2c = s.h2c || p.Name == "h2c"
		}
	}
	return s
}

// addPod adds a pod that is not on its way out. A pod that is being deleted
// finishes what it has, and is given nothing more.
func (t *table) addPod(p *corev1.Pod) {
	revision := p.Labels[servingv1.RevisionLabel]
	gone := p.DeletionTimestamp != nil || p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded
	if revision == "" || gone {
		return
	}
	key := types.NamespacedName{Namespace: p.Namespace, Name: revision}
	spec := t.known(key)
	spec.pods = append(spec.pods, podSpec{
		name: p.Name, uid: p.UID, address: addressOf(p), ready: isReady(p), held: !cleared(p), account: sidecarAccount(p), decided: decidedAt(p),
	})
	t.sidecars = t.sidecars || sidecarAccount(p) != ""
	t.revisions[key] = spec
}

// known returns a revision's spec, with defaults while its object has not
// been seen.
func (t *table) known(key types.NamespacedName) revisionSpec {
	if spec, ok := t.revisions[key]; ok {
		return spec
	}
	return revisionSpec{timeout: defaultTimeout}
}

// addressOf is where queue-proxy listens: its port is the one named so, by the
// node where that has chosen it.
func addressOf(p *corev1.Pod) string {
	if p.Status.PodIP == "" {
		return ""
	}
	port := int32(servingv1.HTTPPort)
	for _, c := range p.Spec.Containers {
		for _, named := range c.Ports {
			if named.Name == servingv1.HTTPPortName {
				port = named.ContainerPort
			}
		}
	}
	if chosen, ok := servingv1.ChosenPorts(p.Annotations)[servingv1.HTTPPortName]; ok {
		port = chosen
	}
	return net.JoinHostPort(p.Status.PodIP, strconv.Itoa(int(port)))
}

// sidecarAccount is the service account of a pod of which Istio's injector
// says that its sidecar takes mutual TLS.
func sidecarAccount(p *corev1.Pod) string {
	if p.Labels[mesh.TLSModeLabel] != mesh.TLSModeIstio {
		return ""
	}
	return cmp.Or(p.Spec.ServiceAccountName, "default")
}

// decidedAt is the controller's word, where there is one that can be read.
func decidedAt(p *corev1.Pod) time.Time {
	at, err := time.Parse(time.RFC3339Nano, p.Annotations[servingv1.DecidedAnnotation])
	if err != nil {
		return time.Time{}
	}
	return at
}

func isReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// addRoute gives the route's own hosts to the targets with a percentage.
func (t *table) addRoute(r *servingv1.Route) {
	var split []share
	var byTag map[string]types.NamespacedName
	if t.tagHeader {
		byTag = map[string]types.NamespacedName{}
	}
	for _, target := range r.Status.Traffic {
		if t.tagHeader && target.Tag != "" && target.RevisionName != "" {
			byTag[target.Tag] = types.NamespacedName{Namespace: r.Namespace, Name: target.RevisionName}
		}
		if target.Percent == nil || *target.Percent <= 0 || target.RevisionName == "" {
			continue
		}
		split = append(split, share{
			revision: types.NamespacedName{Namespace: r.Namespace, Name: target.RevisionName},
			percent:  int(*target.Percent),
		})
	}
	t.add(servingv1.RouteHosts(r, "", r.Status.URL), destination{split: split, byTag: byTag})
}

// addTags gives each tag's hosts to the tag's revision.
func (t *table) addTags(r *servingv1.Route) {
	for _, target := range r.Status.Traffic {
		if target.Tag == "" || target.RevisionName == "" {
			continue
		}
		t.add(servingv1.RouteHosts(r, target.Tag, target.URL), destination{tag: target.Tag, split: []share{{
			revision: types.NamespacedName{Namespace: r.Namespace, Name: target.RevisionName},
			percent:  100,
		}}})
	}
}

// addMapping gives the host of a mapping what the route has to which it leads.
// A host that is a route's own stays with it.
func (t *table) addMapping(m *servingv1beta1.DomainMapping) {
	its, ok := t.hosts[servingv1.ClusterHosts("", m.Spec.Ref.Name, m.Namespace)[0]]
	if _, taken := t.hosts[m.Name]; ok && !taken && m.HasHost() && m.Status.IsTrue(servingv1beta1.ReferenceResolved) {
		t.hosts[m.Name] = its
	}
}

func (t *table) add(hosts []string, to destination) {
	if len(to.split) == 0 {
		return
	}
	for _, s := range to.split {
		t.revisions[s.revision] = t.known(s.revision)
	}
	for _, host := range hosts {
		t.hosts[host] = to
	}
}

// hostname is a Host header's value as the table writes hosts.
func hostname(host string) string {
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:colon]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
