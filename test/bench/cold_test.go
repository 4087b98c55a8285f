//go:build e2e

package bench

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

const starts = 20 // of each kind

// cold sends a request to a service with no pod, in turn with a Pod of the
// same image that is created and asked until it answers: one that is bound to
// the node and mounts no token, and one as `kubectl run` makes it.
func (s *subject) cold(b *testing.B) {
	host := s.Service(b, "cold", s.image, 0, short)
	user := s.pod(b, "cold").Spec.Containers[0]
	node := s.pod(b, "cold").Spec.NodeName
	caller := s.Caller(host, "/")
	bare := func(name string) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
		p.Spec.Containers = []corev1.Container{{Name: user.Name, Image: user.Image, Ports: user.Ports, Env: user.Env}}
		return p
	}
	var ours, bound, plain []time.Duration
	for i := range starts {
		s.Zero(b, "cold")
		r := caller.Send(time.Now())
		if !r.OK() {
			b.Fatalf("from zero: %s", r)
		}
		ours = append(ours, r.Took)

		p := bare(fmt.Sprintf("bound-%d", i))
		p.Spec.NodeName, p.Spec.AutomountServiceAccountToken = node, new(false)
		bound = append(bound, s.start(b, p))
		plain = append(plain, s.start(b, bare(fmt.Sprintf("plain-%d", i))))
	}
	r := ratio(median(ours), median(bound))
	b.ReportMetric(r, "x/bare-pod")
	what := fmt.Sprintf("cold start: a request to a service with no pod until its answer, median of %d", starts)
	note(b, row{
		what: what, measured: round(median(ours)), against: "a Pod of the same image, bound to the node, no token, from POST to its first 200: " + round(median(bound)),
		ratio: fmt.Sprintf("%.2f", r), goal: "1.3",
	}, row{
		what: "the same", measured: round(median(ours)), against: "a Pod as `kubectl run` makes it, scheduled, with a token: " + round(median(plain)),
		ratio: fmt.Sprintf("%.2f", ratio(median(ours), median(plain))),
	})
}

// start creates a pod, times it until it answers, and deletes it.
func (s *subject) start(b *testing.B, pod *corev1.Pod) time.Duration {
	b.Helper()
	pods := s.Kubernetes().CoreV1().Pods(pod.Namespace)
	news, err := pods.Watch(b.Context(), metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", pod.Name).String()})
	if err != nil {
		b.Fatal(err)
	}
	defer news.Stop()
	transport := &http.Transport{DialContext: s.Dial()}
	defer transport.CloseIdleConnections()

	began := time.Now()
	if _, err := pods.Create(b.Context(), pod, metav1.CreateOptions{}); err != nil {
		b.Fatal(err)
	}
	var took time.Duration
	for event := range news.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		if !ok {
			b.Fatalf("watching pod %s: %v", pod.Name, event.Object)
		}
		if pod.Status.PodIP == "" {
			continue
		}
		took = s.untilItAnswers(b, transport, pod, began)
		break
	}
	if took == 0 {
		b.Fatalf("pod %s has no address", pod.Name)
	}
	if err := pods.Delete(b.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		b.Fatal(err)
	}
	return took
}

// untilItAnswers asks a pod that has an address, every other millisecond.
func (s *subject) untilItAnswers(b *testing.B, transport *http.Transport, pod *corev1.Pod, began time.Time) time.Duration {
	b.Helper()
	for ; time.Since(began) < load.Patience; time.Sleep(2 * time.Millisecond) {
		address, ok := s.UserAddress(pod)
		if ok && load.Over(transport, "http://"+address+"/", pod.Name).Send(time.Now()).OK() {
			return time.Since(began)
		}
	}
	b.Fatalf("pod %s does not answer", pod.Name)
	return 0
}

// burst sends 200 requests at once to a service with no pod, whose pods take
// one at a time and are ten at most.
func (s *subject) burst(b *testing.B) {
	const requests, pods, sleep = 200, 10, 100 * time.Millisecond
	host := s.Service(b, "burst", s.image, 1, map[string]string{"max-scale": fmt.Sprint(pods), "window": short["window"]})
	s.Zero(b, "burst")
	count := s.Count(b, "burst")
	began := time.Now()
	all := s.Caller(host, "/?sleep="+fmt.Sprint(sleep.Milliseconds())).Burst(requests)
	took := time.Since(began)
	if failed := all.Failed(); len(failed) > 0 {
		b.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	ideal := sleep * requests / pods
	note(b, row{
		what:     fmt.Sprintf("%d requests at once of %s each, one at a time to a pod, at most %d pods, from zero", requests, sleep, pods),
		measured: fmt.Sprintf("%d answered, the last after %s; pods: %s", len(all)-len(all.Failed()), round(took), count),
		against:  "what ten pods take that are there: " + round(ideal), ratio: fmt.Sprintf("%.2f", ratio(took, ideal)), goal: "all answered",
	})
	if most := count.Most(); most > pods {
		b.Errorf("there were %d pods at once; want at most %d", most, pods)
	}
	box.Eventually(b, "the burst is over", func() bool { return count.Now() == 0 })
}
