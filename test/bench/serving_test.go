//go:build e2e

package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/test/box"
)

// short is the stable window of services that are to go to zero soon, the
// shortest there may be.
var short = map[string]string{"window": "6s"}

// subject is the service that is measured, which waits for as long as it is
// asked to, and says nothing else.
type subject struct {
	*box.Box
	image string
}

// BenchmarkServing measures on one box what requests meet: from zero pods,
// with a pod there, and with too few.
func BenchmarkServing(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	up := bx.Up("--port", "18080", box.Program(b, filepath.Join("..", "subject")))
	up.Wait("the first revision", 5*time.Minute, live)
	s := &subject{Box: bx, image: bx.Image("subject")}
	b.Run("Cold", s.cold)
	b.Run("Warm", s.warm)
	b.Run("One", s.one)
	b.Run("Most", s.most)
	b.Run("Load", s.load)
	b.Run("Burst", s.burst)
	b.Run("Steady", s.steady)
}

// pod is the one that a service has, once it is ready.
func (s *subject) pod(b *testing.B, service string) *corev1.Pod {
	b.Helper()
	var pods []corev1.Pod
	box.Eventually(b, service+" has one pod, which is ready", func() bool {
		pods = s.ReadyPodsOf(metav1.NamespaceDefault, box.Of(service))
		return len(pods) == 1
	})
	return &pods[0]
}

// straight is where a pod's own container listens.
func (s *subject) straight(b *testing.B, pod *corev1.Pod) string {
	b.Helper()
	address, ok := s.UserAddress(pod)
	if !ok {
		b.Fatalf("pod %s does not say where its container listens", pod.Name)
	}
	return "http://" + address
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", d.Seconds()*1000) }
