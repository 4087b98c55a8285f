package activator

import (
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/settings"
)

// tagHeaders makes the box's word on tags by a header this one.
func (b *box) tagHeaders(value string) {
	b.change(func(o *objects) {
		o.configs = []corev1.ConfigMap{{
			ObjectMeta: metav1.ObjectMeta{Namespace: servingv1.Namespace, Name: settings.InForceConfig},
			Data:       map[string]string{"config-features." + settings.TagHeader: value},
		}}
	})
}

// ask asks a host with a header, where that has values, and returns which
// revision answers and what it sees of the two headers.
func (b *box) ask(c *http.Client, host string, tags ...string) string {
	b.t.Helper()
	req := b.request(b.t.Context(), http.MethodGet, "/", nil)
	req.Host = host
	req.Header[proxy.RouteTag] = tags
	req.Header.Set(proxy.DefaultRoute, "spoofed")
	resp, err := c.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(resp)
}

// tells answers with a name, and what a request says of tags.
func tells(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		says(name+" "+r.Header.Get(proxy.RouteTag)+"/"+r.Header.Get(proxy.DefaultRoute)).ServeHTTP(w, r)
	})
}

// TestTagsByHeader turns the feature on and off while requests come.
func TestTagsByHeader(t *testing.T) {
	b := newBox(t)
	b.pod("p1", "hello-00001", tells("one"))
	b.pod("p2", "hello-00002", tells("two"))
	blue := to("hello-00002", 0)
	blue.Tag, blue.URL = "blue", "http://blue-hello.default.example.com"
	b.route(to("hello-00001", 100), blue)
	b.change(func(o *objects) {
		o.mappings = []servingv1beta1.DomainMapping{makeMapping("hello.example.org", "hello")}
	})
	b.answers("hello-00001", 1)
	b.answers("hello-00002", 1)

	c := newClient(t, false)
	const off, on = "disabled", "Enabled"
	for _, test := range []struct {
		feature, host string
		tags          []string
		want          string
	}{
		{"", host, []string{"blue"}, "200 one blue/spoofed"},
		{off, host, []string{"blue"}, "200 one blue/spoofed"},
		{"allowed", host, []string{"blue"}, "200 one blue/spoofed"},
		{off, blue.URL[len("http://"):], nil, "200 two /spoofed"},
		{on, host, nil, "200 one /true"},
		{on, host, []string{"blue"}, "200 two blue/"},
		{on, host + ":8080", []string{"blue"}, "200 two blue/"},
		{on, "hello.default.svc.cluster.local", []string{"blue"}, "200 two blue/"},
		{on, "hello.example.org", []string{"blue"}, "200 two blue/"},
		{on, host, []string{"Blue"}, "200 one Blue/true"},
		{on, host, []string{"green"}, "200 one green/true"},
		{on, host, []string{""}, "200 one /true"},
		{on, host, []string{"blue", "green"}, "200 one blue/true"},
		{on, blue.URL[len("http://"):], nil, "200 two blue/"},
		{on, blue.URL[len("http://"):], []string{"green"}, "200 two blue/"},
		{off, host, []string{"blue"}, "200 one blue/spoofed"},
	} {
		b.tagHeaders(test.feature)
		if got := b.ask(c, test.host, test.tags...); got != test.want {
			t.Errorf("%q, %s with %q: got %q, want %q", test.feature, test.host, test.tags, got, test.want)
		}
	}
}

// TestTagWhoseHostIsAnothers: a route that is called as a tag's host has the
// host, and the header leads to the tag all the same, from zero pods too.
func TestTagWhoseHostIsAnothers(t *testing.T) {
	b := newBox(t)
	b.tagHeaders("enabled")
	blue := to("hello-00002", 0)
	blue.Tag, blue.URL = "blue", "http://blue-hello.default.example.com"
	b.change(func(o *objects) {
		o.routes = []servingv1.Route{
			makeRoute("hello", to("hello-00001", 100), blue), makeRoute("blue-hello", to("blue-hello-00001", 100)),
		}
	})
	c, answer := newClient(t, false), make(chan string)
	go func() { answer <- b.ask(c, host, "blue") }()
	b.waiting("hello-00002", 1)
	b.pod("p2", "hello-00002", tells("two"))
	if got := <-answer; got != "200 two blue/" {
		t.Errorf("got %q", got)
	}
}
