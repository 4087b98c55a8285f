//go:build e2e

package chaos

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// podKilled kills the processes of one pod and then of the other. What was in
// a pod's hands is lost, since nobody knows what has become of it.
func (w *world) podKilled(t *testing.T) {
	w.losesOnlyWhatPodsHad(t, "killed", func(pod *corev1.Pod) { w.KillPod(pod) })
}

// podDeleted takes pods away from under the load, as a person in a hurry does.
func (w *world) podDeleted(t *testing.T) {
	w.losesOnlyWhatPodsHad(t, "deleted", func(pod *corev1.Pod) {
		now := metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}
		if err := w.Kubernetes().CoreV1().Pods(pod.Namespace).Delete(t.Context(), pod.Name, now); err != nil {
			t.Fatal(err)
		}
	})
}

// losesOnlyWhatPodsHad ends each of two pods under load. At most as many
// requests fail as one may have in hand, and none that began afterwards.
func (w *world) losesOnlyWhatPodsHad(t *testing.T, service string, end func(*corev1.Pod)) {
	const limit = 5 // requests that a pod takes at a time; the load keeps both pods busy
	host := w.service(t, service, limit, map[string]string{"min-scale": "2", "max-scale": "2"})
	var pods []corev1.Pod
	both := func() bool {
		pods = w.ReadyPodsOf("default", box.Of(service))
		return len(pods) == 2
	}
	box.Eventually(t, "both pods are ready", both)

	traffic := w.Caller(host, "/?sleep=100").Start(80)
	type moment struct{ from, to time.Time }
	var ends []moment
	for i := range 2 {
		time.Sleep(2 * time.Second) // of load on both
		box.Eventually(t, "both pods are ready", both)
		from := time.Now()
		end(&pods[i])
		ends = append(ends, moment{from, time.Now()})
	}
	box.Eventually(t, "both pods are ready", both)
	time.Sleep(time.Second)
	all := traffic.Stop()
	t.Log(all)

	failed := all.Failed()
	for _, m := range ends {
		lost := failed.Since(m.from.Add(-load.Patience)).Before(m.to)
		failed = failed.Since(m.to)
		t.Logf("in flight when a pod was %s: %d, of which %d failed", service, all.InFlight(m.from), len(lost))
		if len(lost) > limit {
			t.Errorf("%d requests failed with a pod; want at most the %d that it may have had in hand:\n%s", len(lost), limit, lost.List())
		}
	}
	if len(failed) > 0 {
		t.Errorf("%d requests failed that began when the pod was gone:\n%s", len(failed), failed.List())
	}
}
