package controller

import (
	"strings"
	"testing"

	istio "istio.io/api/networking/v1"
	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/ingress"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// istioOf is a cluster with these objects of Istio's.
func istioOf(t *testing.T, objects ...client.Object) *applier {
	t.Helper()
	scheme, err := newScheme(true)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"PeerAuthentication", "AuthorizationPolicy"} {
		of := schema.GroupVersionKind{Group: "security.istio.io", Version: "v1", Kind: kind}
		scheme.AddKnownTypeWithName(of, &unstructured.Unstructured{})
		of.Kind += "List"
		scheme.AddKnownTypeWithName(of, &unstructured.UnstructuredList{})
	}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return newApplier(c, c)
}

func policy(kind, namespace, name string) client.Object {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "security.istio.io", Version: "v1", Kind: kind})
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}

// TestAPolicyThatIsInTheWay is named in the revision's condition.
func TestAPolicyThatIsInTheWay(t *testing.T) {
	pod := &corev1.Pod{}
	pod.Name, pod.Namespace, pod.UID = "hello-1", "default", "hello-1"
	cluster := istioOf(t, policy("PeerAuthentication", "default", "plain"), policy("PeerAuthentication", "other", "x"),
		policy("AuthorizationPolicy", "istio-system", "deny-all"))
	for refusal, want := range map[stream.Refusal]string{
		"":                 "",
		stream.RefusesTLS:  "The sidecar of pod hello-1 takes no mutual TLS: see PeerAuthentication default/plain.",
		stream.RefusesPeer: "The sidecar of pod hello-1 denies the service account knative-serving/activator, through which every request comes: see AuthorizationPolicy istio-system/deny-all.",
	} {
		r := &revisions{applier: cluster, answers: newAnswers()}
		r.answers.receive(stream.Message{Pod: &stream.Pod{Namespace: "default", Name: pod.Name, UID: string(pod.UID), Refusal: refusal}})
		got, err := r.blocked(t.Context(), []*corev1.Pod{pod})
		if err != nil {
			t.Fatal(err)
		}
		if got == nil {
			got = &trouble{}
		}
		if got.message != want {
			t.Errorf("%q: got %q, want %q", refusal, got.message, want)
		}
	}
}

// TestAHostThatIsAnothersToo is named in the route's condition, once the
// gateway has had its time.
func TestAHostThatIsAnothersToo(t *testing.T) {
	route := &servingv1.Route{}
	route.Name, route.Namespace, route.UID = "hello", "default", types.UID("route")
	hosts := []string{"hello.default.example.com"}
	theirs := &networkingv1.VirtualService{Spec: istio.VirtualService{Hosts: hosts}}
	theirs.Name, theirs.Namespace = "mine", "elsewhere"
	e := &entrances{applier: istioOf(t, theirs, ingress.VirtualService(route, hosts))}
	got, err := e.rivals(t.Context(), entrance{of: route, hosts: hosts})
	if err != nil || got != "VirtualService elsewhere/mine" {
		t.Errorf("got %q, %v", got, err)
	}
	if got, err := e.rivals(t.Context(), entrance{of: route, hosts: []string{"other.default.example.com"}}); err != nil || strings.Contains(got, "mine") {
		t.Errorf("of a host that nobody claims: got %q, %v", got, err)
	}
}
