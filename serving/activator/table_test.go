package activator

import (
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

func ptr[T any](v T) *T { return &v }

func makeRoute(name string, traffic ...servingv1.TrafficTarget) servingv1.Route {
	r := servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	r.Status.URL = "http://" + name + ".default.example.com"
	r.Status.Traffic = traffic
	return r
}

// makeMapping makes one of which these conditions are true, or all where none is
// named.
func makeMapping(host, route string, is ...servingv1.ConditionType) servingv1beta1.DomainMapping {
	m := servingv1beta1.DomainMapping{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: host}}
	m.Spec.Ref = servingv1beta1.Reference{APIVersion: servingv1.GroupVersion.String(), Kind: "Route", Name: route}
	if is == nil {
		is = []servingv1.ConditionType{servingv1beta1.DomainClaimed, servingv1beta1.ReferenceResolved}
	}
	for _, c := range is {
		m.Status.Conditions = append(m.Status.Conditions, servingv1.Condition{Type: c, Status: corev1.ConditionTrue})
	}
	return m
}

func to(revision string, percent int64) servingv1.TrafficTarget {
	return servingv1.TrafficTarget{RevisionName: revision, Percent: &percent}
}

func makeRevision(name string, change ...func(*servingv1.Revision)) servingv1.Revision {
	r := servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	for _, f := range change {
		f(&r)
	}
	return r
}

func makePod(name, revision, ip string, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "default", Name: name, UID: types.UID("uid-" + name),
		Labels: map[string]string{servingv1.RevisionLabel: revision},
	}}
	p.Status.PodIP = ip
	for _, f := range change {
		f(&p)
	}
	return p
}

// text writes a table for people, in a fixed order.
func (t *table) text() string {
	var b strings.Builder
	for _, host := range slices.Sorted(maps.Keys(t.hosts)) {
		fmt.Fprintf(&b, "%s ->", host)
		for _, s := range t.hosts[host].split {
			fmt.Fprintf(&b, " %s %d%%", s.revision.Name, s.percent)
		}
		for _, tag := range slices.Sorted(maps.Keys(t.hosts[host].byTag)) {
			fmt.Fprintf(&b, ", by %s %s", tag, t.hosts[host].byTag[tag].Name)
		}
		fmt.Fprintln(&b)
	}
	byName := func(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) }
	for _, key := range slices.SortedFunc(maps.Keys(t.revisions), byName) {
		s := t.revisions[key]
		fmt.Fprintf(&b, "%s limit=%d timeout=%s h2c=%t", key, s.limit, s.timeout, s.h2c)
		for _, p := range s.pods {
			fmt.Fprintf(&b, " %s@%s ready=%t", p.name, p.address, p.ready)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}

func TestBuild(t *testing.T) {
	ready := func(p *corev1.Pod) {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	chosen := func(ports string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Annotations = map[string]string{servingv1.PortsAnnotation: ports} }
	}
	for name, test := range map[string]struct {
		objects objects
		want    string
	}{
		"nothing": {},
		"a split with a tag": {
			objects: objects{
				routes: []servingv1.Route{makeRoute("hello", to("hello-00001", 90), servingv1.TrafficTarget{
					RevisionName: "hello-00002", Percent: ptr(int64(10)), Tag: "next", URL: "http://next-hello.default.example.com",
				})},
				revisions: []servingv1.Revision{
					makeRevision("hello-00001", func(r *servingv1.Revision) { r.Spec.ContainerConcurrency = ptr(int64(5)) }),
					makeRevision("hello-00002", func(r *servingv1.Revision) {
						r.Spec.TimeoutSeconds = ptr(int64(10))
						r.Spec.Containers = []servingv1.Container{{Ports: []servingv1.ContainerPort{{Name: "h2c"}}}}
					}),
				},
			},
			want: `hello.default -> hello-00001 90% hello-00002 10%
hello.default.example.com -> hello-00001 90% hello-00002 10%
hello.default.localhost -> hello-00001 90% hello-00002 10%
hello.default.svc -> hello-00001 90% hello-00002 10%
hello.default.svc.cluster.local -> hello-00001 90% hello-00002 10%
next-hello.default -> hello-00002 100%
next-hello.default.example.com -> hello-00002 100%
next-hello.default.localhost -> hello-00002 100%
next-hello.default.svc -> hello-00002 100%
next-hello.default.svc.cluster.local -> hello-00002 100%
default/hello-00001 limit=5 timeout=5m0s h2c=false
default/hello-00002 limit=0 timeout=10s h2c=true
`,
		},
		"a header that chooses a tag": {
			objects: objects{
				routes: []servingv1.Route{makeRoute("hello", to("hello-00001", 100), servingv1.TrafficTarget{RevisionName: "hello-00002", Tag: "next"})},
				configs: []corev1.ConfigMap{{
					ObjectMeta: metav1.ObjectMeta{Name: "devbox-in-force"}, Data: map[string]string{"config-features.tag-header-based-routing": "Enabled"},
				}},
			},
			want: `hello.default -> hello-00001 100%, by next hello-00002
hello.default.example.com -> hello-00001 100%, by next hello-00002
hello.default.localhost -> hello-00001 100%, by next hello-00002
hello.default.svc -> hello-00001 100%, by next hello-00002
hello.default.svc.cluster.local -> hello-00001 100%, by next hello-00002
next-hello.default -> hello-00002 100%
next-hello.default.localhost -> hello-00002 100%
next-hello.default.svc -> hello-00002 100%
next-hello.default.svc.cluster.local -> hello-00002 100%
default/hello-00001 limit=0 timeout=5m0s h2c=false
default/hello-00002 limit=0 timeout=5m0s h2c=false
`,
		},
		"mappings": {
			objects: objects{
				routes: []servingv1.Route{
					makeRoute("hello", to("hello-00001", 90), to("hello-00002", 10)),
					makeRoute("next", to("next-00001", 100), servingv1.TrafficTarget{RevisionName: "next-00001", Tag: "a", URL: "http://a-next.default.example.com"}),
				},
				mappings: []servingv1beta1.DomainMapping{
					makeMapping("shop.test", "hello"),
					makeMapping("next.default.localhost", "hello"), // is the route's
					makeMapping("nobody.test", "nobody"),
					makeMapping("a-tag.test", "a-next", servingv1beta1.DomainClaimed),
					makeMapping("anothers.test", "hello", servingv1beta1.ReferenceResolved),
				},
			},
			want: `a-next.default -> next-00001 100%
a-next.default.example.com -> next-00001 100%
a-next.default.localhost -> next-00001 100%
a-next.default.svc -> next-00001 100%
a-next.default.svc.cluster.local -> next-00001 100%
hello.default -> hello-00001 90% hello-00002 10%
hello.default.example.com -> hello-00001 90% hello-00002 10%
hello.default.localhost -> hello-00001 90% hello-00002 10%
hello.default.svc -> hello-00001 90% hello-00002 10%
hello.default.svc.cluster.local -> hello-00001 90% hello-00002 10%
next.default -> next-00001 100%
next.default.example.com -> next-00001 100%
next.default.localhost -> next-00001 100%
next.default.svc -> next-00001 100%
next.default.svc.cluster.local -> next-00001 100%
shop.test -> hello-00001 90% hello-00002 10%
default/hello-00001 limit=0 timeout=5m0s h2c=false
default/hello-00002 limit=0 timeout=5m0s h2c=false
default/next-00001 limit=0 timeout=5m0s h2c=false
`,
		},
		"a route for the cluster only": {
			objects: objects{routes: []servingv1.Route{func() servingv1.Route {
				r := makeRoute("inner", to("inner-00001", 100))
				r.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
				r.Status.URL = "http://inner.default.svc.cluster.local"
				return r
			}()}},
			want: `inner.default -> inner-00001 100%
inner.default.svc -> inner-00001 100%
inner.default.svc.cluster.local -> inner-00001 100%
default/inner-00001 limit=0 timeout=5m0s h2c=false
`,
		},
		"a route without traffic has no hosts": {
			objects: objects{routes: []servingv1.Route{makeRoute("hello")}},
		},
		"a route's own host goes before another's tag": {
			objects: objects{routes: []servingv1.Route{
				func() servingv1.Route {
					r := makeRoute("a-b", to("own-00001", 100))
					r.Status.URL = ""
					r.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
					return r
				}(),
				func() servingv1.Route {
					r := makeRoute("b", servingv1.TrafficTarget{RevisionName: "tagged-00001", Tag: "a"})
					r.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
					return r
				}(),
			}},
			want: `a-b.default -> own-00001 100%
a-b.default.svc -> own-00001 100%
a-b.default.svc.cluster.local -> own-00001 100%
default/own-00001 limit=0 timeout=5m0s h2c=false
default/tagged-00001 limit=0 timeout=5m0s h2c=false
`,
		},
		"pods that can be asked, and one that soon can": {
			objects: objects{pods: []corev1.Pod{
				makePod("b", "hello-00001", "10.0.0.2", ready),
				makePod("a", "hello-00001", "10.0.0.1", func(p *corev1.Pod) {
					p.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: servingv1.HTTPPortName, ContainerPort: 18012}}}}
				}),
				makePod("no-address", "hello-00001", ""),
				makePod("leaving", "hello-00001", "10.0.0.3", func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }),
				makePod("failed", "hello-00001", "10.0.0.4", func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }),
				makePod("done", "hello-00001", "10.0.0.5", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
				makePod("six", "hello-00001", "fd00::6"),
				makePod("x-chosen", "hello-00001", "127.0.0.1", chosen(`{"queue-port":20001,"user-port":20002}`)),
				makePod("y-chosen-another", "hello-00001", "127.0.0.1", chosen(`{"user-port":20003}`)),
				makePod("z-nonsense", "hello-00001", "127.0.0.1", chosen("20001")),
			}},
			want: `default/hello-00001 limit=0 timeout=5m0s h2c=false a@10.0.0.1:18012 ready=false b@10.0.0.2:8012 ready=true no-address@ ready=false six@[fd00::6]:8012 ready=false x-chosen@127.0.0.1:20001 ready=false y-chosen-another@127.0.0.1:8012 ready=false z-nonsense@127.0.0.1:8012 ready=false
`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := build(test.objects).text(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	for host, want := range map[string]string{
		"hello.default.example.com":        "hello.default.example.com",
		"Hello.Default.EXAMPLE.com:8080":   "hello.default.example.com",
		"hello.default.svc.cluster.local.": "hello.default.svc.cluster.local",
		"hello.default.example.com.:80":    "hello.default.example.com",
		"[::1]:8080":                       "[::1]",
		"[::1]":                            "[::1]",
		"":                                 "",
	} {
		if got := hostname(host); got != want {
			t.Errorf("hostname(%q) = %q, want %q", host, got, want)
		}
	}
}

func TestRoadShares(t *testing.T) {
	one, two := &revision{}, &revision{}
	r := &road{lanes: []lane{{revision: one, percent: 25, upTo: 25}, {revision: two, percent: 75, upTo: 100}}}
	if r.largest() != two {
		t.Error("the larger share is not the largest")
	}
	const n = 10_000
	first := 0
	for range n {
		if r.pick(nil) == one {
			first++
		}
	}
	if first < n/5 || first > n*3/10 {
		t.Errorf("a share of 25%% got %d of %d", first, n)
	}
}

// TestRoadByHeader: a tag's header chooses, and what is no tag goes by the
// percentages; a request says which way it came, whatever its client said.
func TestRoadByHeader(t *testing.T) {
	one, two := &revision{}, &revision{}
	own := road{lanes: []lane{{one, 100, 100}}, marked: true, byTag: map[string]*revision{"next": two}}
	tags := road{lanes: []lane{{two, 100, 100}}, marked: true, tag: "next"}
	off := road{lanes: []lane{{one, 100, 100}}}
	for _, c := range []struct {
		name string
		road road
		sent string
		want *revision
		says http.Header
	}{
		{"no tag", own, "", one, http.Header{proxy.DefaultRoute: {"true"}}},
		{"a tag", own, "next", two, http.Header{proxy.RouteTag: {"next"}}},
		{"a tag that is none", own, "nope", one, http.Header{proxy.RouteTag: {"nope"}, proxy.DefaultRoute: {"true"}}},
		{"a tag's host", tags, "", two, http.Header{proxy.RouteTag: {"next"}}},
		{"a tag's host, another tag", tags, "nope", two, http.Header{proxy.RouteTag: {"next"}}},
		{"switched off", off, "next", one, http.Header{proxy.RouteTag: {"next"}}},
	} {
		h := http.Header{}
		if c.sent != "" {
			h.Set("knative-serving-tag", c.sent)
		}
		if got := c.road.pick(h); got != c.want {
			t.Errorf("%s: another revision", c.name)
		}
		c.road.mark(h)
		if !reflect.DeepEqual(h, c.says) {
			t.Errorf("%s: the container is told %v, want %v", c.name, h, c.says)
		}
	}
}
