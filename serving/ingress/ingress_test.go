package ingress_test

import (
	"bytes"
	"flag"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

var update = flag.Bool("update", false, "write the golden files again")

func TestVirtualService(t *testing.T) {
	route := &servingv1.Route{}
	route.Name, route.Namespace, route.UID = "hello", "default", "route-uid"
	route.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-00001", Percent: new(int64(100))}}
	got, err := yaml.Marshal(ingress.VirtualService(route, []string{"hello.default.example.com", "hello.default.localhost"}))
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/hello.golden.yaml"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s differs (write it again with -update and read the diff); got:\n%s", path, got)
	}
}

// TestMapped: a mapping's host leads where those of routes do.
func TestMapped(t *testing.T) {
	m := &servingv1beta1.DomainMapping{}
	m.Name, m.Namespace, m.UID = "shop.example.org", "default", "mapping-uid"
	m.Spec.Ref.Name = "hello"
	got := ingress.Mapped(m)
	route := ingress.VirtualService(&servingv1.Route{}, []string{m.Name})
	if got, want := marshal(t, &got.Spec), marshal(t, &route.Spec); !bytes.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if owner := metav1.GetControllerOf(got); got.Name != m.Name || owner == nil || owner.Kind != "DomainMapping" || owner.APIVersion != "serving.knative.dev/v1beta1" {
		t.Errorf("%s is owned by %+v", got.Name, owner)
	}
}

// A new revision is none of Istio's business.
func TestVirtualServiceKnowsNoRevision(t *testing.T) {
	route := &servingv1.Route{}
	route.Name, route.Namespace = "hello", "default"
	hosts := []string{"hello.default.example.com"}
	before := marshal(t, ingress.VirtualService(route, hosts))
	route.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: "hello-00002"}}
	route.Status.Traffic = route.Spec.Traffic
	if after := marshal(t, ingress.VirtualService(route, hosts)); !bytes.Equal(before, after) {
		t.Errorf("the ingress changed with the revision:\n%s\n%s", before, after)
	}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	data, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
