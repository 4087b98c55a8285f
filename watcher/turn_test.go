package watcher

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// TestInTurn has more to build than can be at a time: what has pods comes first,
// and everything has its turn.
func TestInTurn(t *testing.T) {
	b := bed.Start(t)
	namespace := b.Namespace(t)
	d, err := deploy.New(deploy.Config{REST: b.REST()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("it ended with %v", err)
		}
	}()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "c-00001", Labels: map[string]string{servingv1.ServiceLabel: "c"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "user-container", Image: "c"}}},
	}
	if _, err := kubernetes.NewForConfigOrDie(b.REST()).CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		return d.HasPods(ctx, client.ObjectKey{Namespace: namespace, Name: "c"}), nil
	}); err != nil {
		t.Fatal(err)
	}
	l := &loop{deployer: d, slots: 2}
	for _, name := range []string{"a", "b", "c"} {
		l.targets = append(l.targets, &target{Target: Target{Name: name, Namespace: namespace}, pending: &request{build: true}, follow: &follow{}})
	}
	for _, step := range []struct{ what, want string }{
		{"three are to be built, two at a time", "cab"},
		{"two are", "abc"},
	} {
		var got string
		for _, t := range l.inTurn(ctx) {
			got += t.Name
		}
		if got != step.want {
			t.Errorf("%s: got %s, want %s", step.what, got, step.want)
		}
		l.targets[0].pending = nil
	}
}
