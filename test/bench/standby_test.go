//go:build e2e

package bench

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/test/box"
)

const stands = 10 // of each kind

// BenchmarkStandby measures what a pod that stands by saves: a cold start and an
// edit, in turns with and without one.
func BenchmarkStandby(b *testing.B) {
	bx := box.New(b, "devbox-bench")
	dir := box.Program(b, filepath.Join("..", "subject"))
	up := bx.Up("--port", "18080", dir)
	up.Wait("the first revision", 5*time.Minute, live)
	s := &subject{Box: bx, image: bx.Image("subject")}
	b.Run("Edit", func(b *testing.B) { s.standbyEdits(b, up, dir) })
	b.Run("Cold", s.standbyCold)
}

// standBy says for how many services a pod stands by.
func standBy(b *testing.B, bx *box.Box, pods int) {
	b.Helper()
	patch := fmt.Appendf(nil, `{"data":{"standby-pods":"%d"}}`, pods)
	if _, err := bx.Kubernetes().CoreV1().ConfigMaps("knative-serving").Patch(b.Context(), "config-devbox", types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		b.Fatal(err)
	}
}

// standby is standBy, and waits until they do.
func (s *subject) standby(b *testing.B, pods int) {
	b.Helper()
	standBy(b, s.Box, pods)
	box.Eventually(b, fmt.Sprintf("%d pods stand by", pods), func() bool {
		list, err := s.Kubernetes().CoreV1().Pods(metav1.NamespaceDefault).List(b.Context(), metav1.ListOptions{LabelSelector: "devbox.dev/standby=waiting"})
		if err != nil {
			b.Fatal(err)
		}
		running := 0
		for _, pod := range list.Items {
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Running != nil {
					running++
				}
			}
		}
		return running == 2*pods && len(list.Items) == pods
	})
	time.Sleep(time.Second) // its programs have reached the controller, and the machine is quiet
}

// standbyCold is cold with and without a pod that stands by.
func (s *subject) standbyCold(b *testing.B) {
	host := s.Service(b, "cold", s.image, 0, short)
	user, node := s.pod(b, "cold").Spec.Containers[0], s.pod(b, "cold").Spec.NodeName
	caller := s.Caller(host, "/")
	var with, without, bound []time.Duration
	for i := range stands {
		for pods, took := range []*[]time.Duration{&without, &with} {
			s.Zero(b, "cold")
			s.standby(b, pods)
			r := caller.Send(time.Now())
			if !r.OK() {
				b.Fatalf("from zero: %s", r)
			}
			*took = append(*took, r.Took)
		}
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: fmt.Sprintf("bound-%d", i)}}
		p.Spec.Containers = []corev1.Container{{Name: user.Name, Image: s.image, Ports: user.Ports, Env: []corev1.EnvVar{{Name: "PORT", Value: "8080"}}}}
		p.Spec.NodeName, p.Spec.AutomountServiceAccountToken = node, new(false)
		bound = append(bound, s.start(b, p))
	}
	b.Logf("with %v\nwithout %v\nbare %v", with, without, bound)
	b.ReportMetric(ratio(median(with), median(bound)), "x/bare-pod")
	bare := "a Pod of the same image, bound to the node, no token, from POST to its first 200: " + round(median(bound))
	note(b, row{
		what:     fmt.Sprintf("cold start by a pod that stands by, median of %d", stands),
		measured: round(median(with)), against: bare, ratio: fmt.Sprintf("%.2f", ratio(median(with), median(bound))), goal: "0.25",
	}, row{
		what: "the same with none, in turns", measured: round(median(without)), against: bare, ratio: fmt.Sprintf("%.2f", ratio(median(without), median(bound))), goal: "1.3",
	})
}

// standbyEdits is an edit with and without a pod that stands by.
func (s *subject) standbyEdits(b *testing.B, up *box.Session, dir string) {
	var with, without, pod, ordinary []time.Duration
	last := "one"
	for i := range stands {
		for pods, took := range []*[]time.Duration{&without, &with} {
			s.standby(b, pods)
			word := fmt.Sprintf("edit%02d%d", i, pods)
			mark := up.Mark()
			box.Edit(b, filepath.Join(dir, "main.go"), `word = "`+last+`"`, `word = "`+word+`"`)
			e := up.WaitAfter(mark, "the new revision", time.Minute, live)
			*took = append(*took, e.Duration)
			for _, p := range e.Phases {
				if p.Name == "pod" && pods == 1 {
					pod = append(pod, p.Duration)
				} else if p.Name == "pod" {
					ordinary = append(ordinary, p.Duration)
				}
			}
			last = word
		}
	}
	note(b, row{
		what:     fmt.Sprintf("save to live by a pod that stands by, median of %d", stands),
		measured: round(median(with)), against: "without one, in turns: " + round(median(without)), ratio: fmt.Sprintf("%.2f", ratio(median(with), median(without))),
	}, row{
		what: "of these: the pod", measured: round(median(pod)), against: round(median(ordinary)), ratio: fmt.Sprintf("%.2f", ratio(median(pod), median(ordinary))),
	})
}
