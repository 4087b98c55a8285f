package app

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	for _, test := range []struct{ got, want partStatus }{
		{nodeStatus(node(corev1.ConditionTrue, "")), partStatus{Step: "cluster", Name: "devbox-control-plane", Ready: true, Message: "Kubernetes v1.37.2"}},
		{nodeStatus(node(corev1.ConditionUnknown, "no news")), partStatus{Step: "cluster", Name: "devbox-control-plane", Message: "no news"}},
		{nodeStatus(&corev1.Node{}), partStatus{Step: "cluster"}},
		{deploymentStatus("istio", deployment(nil, 1)), partStatus{Step: "istio", Name: "istiod", Ready: true, Message: "1 of 1 pods ready"}},
		{deploymentStatus("istio", deployment(new(int32(2)), 1)), partStatus{Step: "istio", Name: "istiod", Message: "1 of 2 pods ready"}},
	} {
		if test.got != test.want {
			t.Errorf("got %+v, want %+v", test.got, test.want)
		}
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
new      http://new.default.localhost:8080    -            0/0   False  RevisionFailed: exit code 1
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
