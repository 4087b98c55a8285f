package app

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func TestPartsOfABox(t *testing.T) {
	node := func(ready corev1.ConditionStatus, message string) *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "devbox-control-plane"},
			Status: corev1.NodeStatus{
				NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.2"},
				Conditions: []corev1.NodeCondition{
					{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
					{Type: corev1.NodeReady, Status: ready, Message: message},
				},
			},
		}
	}
	deployment := func(wanted *int32, ready int32) *appsv1.Deployment {
		return &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "istiod"},
			Spec:       appsv1.DeploymentSpec{Replicas: wanted},
			Status:     appsv1.DeploymentStatus{ReadyReplicas: ready},
		}
	}
	embedded := node(corev1.ConditionTrue, "")
	embedded.Annotations = map[string]string{servingv1.PodNetworkAnnotation: servingv1.PodNetworkMachine}
	for _, test := range []struct{ got, want partStatus }{
		{nodeStatus(node(corev1.ConditionTrue, "")), partStatus{Step: "cluster", Name: "devbox-control-plane", Ready: true, Message: "Kubernetes v1.37.2"}},
		{nodeStatus(node(corev1.ConditionUnknown, "no news")), partStatus{Step: "cluster", Name: "devbox-control-plane", Message: "no news"}},
		{nodeStatus(&corev1.Node{}), partStatus{Step: "cluster"}},
		{nodeStatus(embedded), partStatus{Step: "cluster", Name: "devbox-control-plane", Ready: true, Message: "Kubernetes v1.37.2, pod network: machine"}},
		{deploymentStatus("istio", deployment(nil, 1)), partStatus{Step: "istio", Name: "istiod", Ready: true, Message: "1 of 1 pods ready"}},
		{deploymentStatus("istio", deployment(new(int32(2)), 1)), partStatus{Step: "istio", Name: "istiod", Message: "1 of 2 pods ready"}},
	} {
		if test.got != test.want {
			t.Errorf("got %+v, want %+v", test.got, test.want)
		}
	}
}

// TestPodsOfWhatWasNeverReady: the pods of a service's first revision count also
// before one of them answers.
func TestPodsOfWhatWasNeverReady(t *testing.T) {
	kinds := runtime.NewScheme()
	if err := servingv1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello"}}
	hello.Status.LatestCreatedRevisionName = "hello-00001"
	revision := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello-00001"}}
	revision.Status.ActualReplicas, revision.Status.DesiredReplicas = new(int32(0)), new(int32(1))
	c := &cluster{box: &bootstrap.Box{Domain: "example.com"}, client: fake.NewClientBuilder().WithScheme(kinds).WithObjects(hello, revision).Build()}
	got, err := c.serviceStatus(t.Context(), hello)
	if err != nil || got.Replicas != 0 || got.Desired != 1 || got.Revision != "" {
		t.Errorf("got %+v, %v; want 0 of 1 pods, and no revision that is ready", got, err)
	}
}

func TestStatusForPeople(t *testing.T) {
	s := &status{
		Box: boxStatus{Name: "devbox", Engine: "kind", Gateway: "http://127.0.0.1:8080", Registry: "localhost:5001", Kubeconfig: "/k"},
		Parts: []partStatus{
			{Step: "cluster", Name: "devbox-control-plane", Ready: true, Message: "Kubernetes v1.37.2"},
			{Step: "serving", Name: "activator", Message: "0 of 1 pods ready"},
			{Step: "observability", Name: "zipkin", Ready: true, Message: "1 of 1 pods ready", URL: "http://zipkin.localhost:8080"},
		},
		Services: []serviceStatus{
			{Name: "hello", URL: "http://hello.default.localhost:8080", Revision: "hello-00002", Replicas: 1, Desired: 1, Ready: "True"},
			{Name: "old", URL: "http://old.default.localhost:8080", Revision: "old-00003", Created: "old-00003", Serving: "old-00002", Held: true, Ready: "True"},
			{Name: "new", URL: "http://new.default.localhost:8080", Ready: "False", Reason: "RevisionFailed", Message: "exit code 1"},
		},
	}
	var out bytes.Buffer
	if err := s.print(&out); err != nil {
		t.Fatal(err)
	}
	want := `BOX     ENGINE  GATEWAY                REGISTRY        KUBECONFIG
devbox  kind    http://127.0.0.1:8080  localhost:5001  /k

STEP           PART                  READY  
cluster        devbox-control-plane  True   Kubernetes v1.37.2
serving        activator             False  0 of 1 pods ready
observability  zipkin                True   1 of 1 pods ready  http://zipkin.localhost:8080

SERVICE  URL                                  REVISION     PODS  READY  REASON
hello    http://hello.default.localhost:8080  hello-00002  1/1   True   
old      http://old.default.localhost:8080    old-00002    0/0   True   held, and the latest is old-00003
new      http://new.default.localhost:8080    -            0/0   False  RevisionFailed: exit code 1
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
