package embedded

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// TestAwaitPart: a part whose pod answers is there; one that never will says why
// at once.
func TestAwaitPart(t *testing.T) {
	pod := func(name string, change func(*corev1.PodStatus)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: bootstrap.WatchNamespace, Name: name + "-1", Labels: map[string]string{"app": name}}}
		change(&p.Status)
		return p
	}
	clients := fake.NewClientset(
		pod("zipkin", func(s *corev1.PodStatus) {
			s.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}),
		pod("prometheus", func(s *corev1.PodStatus) {
			s.Phase, s.Message = corev1.PodFailed, "the embedded engine has no root file system for it"
		}),
		pod("grafana", func(s *corev1.PodStatus) {
			s.ContainerStatuses = []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such host"}}}}
		}),
	)
	if err := awaitPart(t.Context(), clients, "zipkin"); err != nil {
		t.Errorf("one that answers: %v", err)
	}
	began := time.Now()
	err := awaitPart(t.Context(), clients, "prometheus")
	if err == nil || !strings.Contains(err.Error(), "no root file system") || time.Since(began) > time.Minute {
		t.Errorf("one that has failed: %v after %s", err, time.Since(began))
	}
	list, err := clients.CoreV1().Pods(bootstrap.WatchNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=grafana"})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if got := said(&list.Items[0]); got != "ErrImagePull: no such host" {
		t.Errorf("one that waits says %q", got)
	}
}
