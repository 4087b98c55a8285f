package node

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/serving/runner"
	"github.com/kind-in-a-box/devbox/test/bed"
)

// TestStartIsQuick measures from the creation of a pod to its process, against
// the runner's own start.
func TestStartIsQuick(t *testing.T) {
	app := image(t)
	client, _ := startNode(t, "quick", t.TempDir())
	namespace := bed.Start(t).Namespace(t)
	var all []time.Duration
	for range 6 {
		began := time.Now()
		pod := create(t, client, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "pod-"},
			Spec: corev1.PodSpec{
				NodeName: "quick", TerminationGracePeriodSeconds: new(int64(5)),
				Containers: []corev1.Container{
					{
						Name: "app", Image: app,
						Ports: []corev1.ContainerPort{{Name: "user-port", ContainerPort: 8080}},
						Env:   []corev1.EnvVar{{Name: "PORT", Value: "8080"}},
					},
					{Name: "other", Image: app, Args: []string{"wait"}},
				},
			},
		})
		waitFor(t, client, pod, "a ready pod", isReady)
		all = append(all, time.Since(began))
		if err := client.CoreV1().Pods(namespace).Delete(t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
		waitFor(t, client, pod, "the pod to be gone", isGone)
	}
	r, err := runner.New(filepath.Join(t.TempDir(), "runner"), runner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	img, err := r.Pull(context.Background(), app, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var own []time.Duration
	for range 6 {
		began := time.Now()
		p, err := r.Start(t.Context(), runner.Spec{Image: img, Name: "x", Dir: filepath.Join(t.TempDir(), "x"), Env: []string{"PORT=21999"}})
		if err != nil {
			t.Fatal(err)
		}
		own = append(own, time.Since(began))
		if err := p.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("pod to ready: %v; the runner alone: %v", all, own)
	_ = slices.Sorted[int]
}
