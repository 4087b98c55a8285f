package v1_test

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func TestServiceHost(t *testing.T) {
	fresh := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	known := fresh.DeepCopy()
	known.Status.URL = "http://hello-default.my.test"
	known.Status.Traffic = []servingv1.TrafficTarget{{Tag: "blue", URL: "http://blue-hello-default.my.test"}}
	for _, c := range []struct {
		service   *servingv1.Service
		tag, want string
	}{
		{fresh, "", "hello.default.example.com"},
		{fresh, "blue", "blue-hello.default.example.com"},
		{known, "", "hello-default.my.test"},
		{known, "blue", "blue-hello-default.my.test"},
		{known, "green", "green-hello.default.example.com"},
	} {
		if got := servingv1.ServiceHost(c.service, c.tag, "example.com"); got != c.want {
			t.Errorf("%q: got %s, want %s", c.tag, got, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{servingv1.RevisionName("hello", 1), "hello-00001"},
		{servingv1.RevisionName("hello", 123456), "hello-123456"},
		{servingv1.PodPrefix("hello-00001"), "hello-00001-deployment-"},
		{servingv1.IngressName("hello"), "hello-ingress"},
		{servingv1.TaggedName("", "hello"), "hello"},
		{servingv1.TaggedName("blue", "hello"), "blue-hello"},
		{servingv1.PublicHost("", "hello", "default", "example.com"), "hello.default.example.com"},
		{servingv1.PublicHost("blue", "hello", "default", "localhost"), "blue-hello.default.localhost"},
		{servingv1.URL("hello.default.example.com"), "http://hello.default.example.com"},
	} {
		if c.got != c.want {
			t.Errorf("got %s, want %s", c.got, c.want)
		}
	}
	hosts := []string{"hello.default.svc.cluster.local", "hello.default.svc", "hello.default"}
	if got := servingv1.ClusterHosts("", "hello", "default"); !slices.Equal(got, hosts) {
		t.Errorf("got %v, want %v", got, hosts)
	}
}

// TestLongNames: a name of legal length has children of legal length, which
// differ where their parents do, and a pod's name has room for what the API
// server adds.
func TestLongNames(t *testing.T) {
	long := strings.Repeat("a", validation.DNS1035LabelMaxLength)
	near := long[:len(long)-1] + "b"
	for name, child := range map[string]func(string) string{
		"revision": func(s string) string { return servingv1.RevisionName(s, 7) },
		"ingress":  servingv1.IngressName,
		"pod":      func(s string) string { return servingv1.PodPrefix(s) + "x1y2z" },
	} {
		a, b := child(long), child(near)
		if a == b {
			t.Errorf("%s: two parents have the one child %s", name, a)
		}
		for _, s := range []string{a, b} {
			if wrong := validation.IsDNS1035Label(s); wrong != nil {
				t.Errorf("%s: %s: %v", name, s, wrong)
			}
		}
	}
	if got := servingv1.RevisionName(long, 7); !strings.HasSuffix(got, "-00007") {
		t.Errorf("the generation is lost in %s", got)
	}
}

// TestBrowserHost: the host is one that the Route has, by what its status says of
// ConfigMaps and visibility, or there is none and the reason is said.
func TestBrowserHost(t *testing.T) {
	fresh := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	with := func(url, hosts string) *servingv1.Service {
		s := fresh.DeepCopy()
		s.Status.URL = url
		if hosts != "" {
			s.Status.Annotations = map[string]string{servingv1.HostsAnnotation: `{"":[` + hosts + `]}`}
		}
		return s
	}
	labelled := fresh.DeepCopy()
	labelled.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
	for _, c := range []struct {
		name      string
		service   *servingv1.Service
		want, why string
	}{
		{"no status yet", fresh, "hello.default.localhost", ""},
		{"another domain", with("http://hello.default.my.test", ""), "hello.default.localhost", ""},
		{"another template", with("http://hello-default.my.test", `"hello.default.svc","hello-default.localhost","hello-default.my.test"`), "hello-default.localhost", ""},
		{"a template with a fixed end", with("http://hello.my.test", `"hello.default.svc","hello.my.test"`), "", "domain-template"},
		{"a template with a middle", with("http://hello.example.com.dev", `"hello.default.svc","hello.localhost.dev","hello.example.com.dev"`), "", "domain-template"},
		{"labelled as the cluster's", labelled, "", "cluster only"},
		{"the cluster's by its domain", with("http://hello.default.svc.cluster.local", `"hello.default.svc.cluster.local"`), "", "cluster only"},
	} {
		got, why := servingv1.BrowserHost(c.service)
		if got != c.want || !strings.Contains(why, c.why) || (why == "") != (c.why == "") {
			t.Errorf("%s: got %q, %q; want %q, %q", c.name, got, why, c.want, c.why)
		}
	}
}
