package served

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func TestHostsOf(t *testing.T) {
	const route = "http: [{match: [], route: [{destination: {host: web, port: {number: 80}}}]}]"
	for name, c := range map[string]struct {
		spec string
		want []Host
	}{
		"at a gateway": {
			"{gateways: [way], hosts: [Web.example.com, www.example.com], " + route + "}",
			[]Host{{"web.example.com", "web", "shop", "web"}, {"www.example.com", "web", "shop", "web"}},
		},
		"at a gateway and in the mesh": {"{gateways: [mesh, other/way], hosts: [web.example.com]}", []Host{{"web.example.com", "web", "shop", ""}}},
		"a redirect before the route": {
			"{gateways: [way], hosts: [a.b], http: [{redirect: {uri: /x}}, {route: [{destination: {host: web.other.svc.cluster.local}}]}]}",
			[]Host{{"a.b", "web", "shop", "web.other.svc.cluster.local"}},
		},
		"in the mesh alone":       {"{gateways: [mesh], hosts: [web.example.com]}", nil},
		"in the mesh by default":  {"{hosts: [web.example.com]}", nil},
		"a pattern, and one host": {"{gateways: [way], hosts: ['*', '*.example.com', one.example.com]}", []Host{{"one.example.com", "web", "shop", ""}}},
	} {
		v := unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte("metadata: {name: web, namespace: shop}\nspec: "+c.spec), &v.Object); err != nil {
			t.Fatal(err)
		}
		if got := hostsOf(v); !slices.Equal(got, c.want) {
			t.Errorf("%s: hosts %v, want %v", name, got, c.want)
		}
	}
}
