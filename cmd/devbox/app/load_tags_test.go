package app

import (
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestTagsAreReachedByTheirStatus: the hosts of a comparison are those that the
// Service's status gives its tags, whatever ConfigMaps make of them.
func TestTagsAreReachedByTheirStatus(t *testing.T) {
	leads := map[string]string{"hello-default-a.my.test": "hello-00001", "hello-default-b.my.test": "hello-00002"}
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Knative-Serving-Revision", leads[r.Host])
	}))
	defer gateway.Close()
	hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	hello.Status.Traffic = []servingv1.TrafficTarget{
		{Tag: "a", RevisionName: "hello-00001", URL: "http://hello-default-a.my.test"},
		{Tag: "b", RevisionName: "hello-00002", URL: "http://hello-default-b.my.test"},
	}
	kinds := runtime.NewScheme()
	if err := servingv1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	c := &cluster{
		d:      &devbox{name: "devbox"},
		box:    &bootstrap.Box{Domain: "example.com", HTTPPort: gateway.Listener.Addr().(*net.TCPAddr).Port},
		client: fake.NewClientBuilder().WithScheme(kinds).WithObjects(hello).Build(),
	}
	of := &tags{c: c, service: hello, revisions: []string{"hello-00001", "hello-00002"}, names: []string{"a", "b"}}
	got, err := of.hosts(t.Context())
	if want := []string{"hello-default-a.my.test", "hello-default-b.my.test"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
