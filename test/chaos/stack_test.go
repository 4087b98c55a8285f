//go:build e2e

package chaos

import (
	"context"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"

	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// part is the one pod of a part of the stack, once it is ready.
func (w *world) part(t *testing.T, app string) corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	box.Eventually(t, "the "+app+" is ready", func() bool {
		pods = w.ReadyPodsOf(servingv1.Namespace, "app="+app)
		return len(pods) == 1
	})
	return pods[0]
}

// restarted waits until a pod is ready and other than it was.
func (w *world) restarted(t *testing.T, app string, was corev1.Pod) {
	t.Helper()
	box.Eventually(t, "the "+app+" is back", func() bool {
		now := w.part(t, app).Status.ContainerStatuses[0]
		return now.ContainerID != was.Status.ContainerStatuses[0].ContainerID
	})
}

// controllerKilled kills the controller, and asks in the same moment for a
// service with no pod. Nothing fails: what runs needs no controller, and the
// request waits for it.
func (w *world) controllerKilled(t *testing.T) {
	idle := w.service(t, "cold", 0, map[string]string{"window": "6s"})
	w.Zero(t, "cold")
	pod := w.part(t, "controller")
	traffic := w.Caller(subject, "/").Start(50)
	time.Sleep(2 * time.Second)
	w.KillPod(&pod)
	held := w.Caller(idle, "/").Send(time.Now())
	w.restarted(t, "controller", pod)
	time.Sleep(2 * time.Second)
	all := traffic.Stop()
	t.Logf("%s; from zero, while it came back: %s", all, held.Took.Round(time.Millisecond))
	if !held.OK() {
		t.Errorf("the request for a service with no pod: %s", held)
	}
	if failed := all.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
}

// controllerAway has a request wait for a pod while there is no controller to
// make one.
func (w *world) controllerAway(t *testing.T) {
	idle := w.service(t, "waiting", 0, map[string]string{"window": "6s"})
	w.Zero(t, "waiting")
	traffic := w.Caller(subject, "/").Start(50)
	t.Cleanup(func() { w.scale(t, "controller", 1) })
	w.scale(t, "controller", 0)
	box.Eventually(t, "the controller is gone", func() bool { return len(w.PodsOf(servingv1.Namespace, "app=controller")) == 0 })

	answer := make(chan load.Result, 1)
	go func() { answer <- w.Caller(idle, "/").Send(time.Now()) }()
	select {
	case r := <-answer:
		t.Errorf("without a controller there was an answer from a service with no pod: %s", r)
		answer <- r
	case <-time.After(3 * time.Second):
	}
	back := time.Now()
	w.scale(t, "controller", 1)
	held := <-answer
	t.Logf("the held request was answered %s after the controller was asked back", time.Since(back).Round(time.Millisecond))
	if !held.OK() {
		t.Errorf("the held request: %s", held)
	}
	w.part(t, "controller")
	all := traffic.Stop()
	t.Log(all)
	if failed := all.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
}

// scale sets the number of pods of a part of the stack.
func (w *world) scale(t *testing.T, app string, pods int32) {
	t.Helper()
	scale := &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: app, Namespace: servingv1.Namespace}}
	scale.Spec.Replicas = pods
	all := w.Kubernetes().AppsV1().Deployments(servingv1.Namespace)
	if _, err := all.UpdateScale(context.WithoutCancel(t.Context()), app, scale, metav1.UpdateOptions{}); err != nil {
		t.Error(err)
	}
}

// activatorKilled kills what every request passes. Those in its memory are
// lost; the gateway keeps those that come later until it is back.
func (w *world) activatorKilled(t *testing.T) {
	pod := w.part(t, "activator")
	traffic := w.Caller(subject, "/?sleep=50").Start(50)
	time.Sleep(3 * time.Second)
	w.KillPod(&pod)
	gone := time.Now()
	w.restarted(t, "activator", pod)
	ready := time.Since(gone)
	time.Sleep(5 * time.Second)
	all := traffic.Stop()
	// Its death takes a moment, and what it has in that moment ends all at once.
	if lost := all.Failed(); len(lost) > 0 && lost.FirstEnd().After(gone) {
		gone = lost.FirstEnd()
	}
	later := all.Since(gone)
	t.Logf("%s; ready again after %s", all, ready.Round(time.Millisecond))
	t.Logf("those that came later: %s; those that came a second later: %s", later, later.Since(gone.Add(time.Second)))
	if failed := later.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed that began when it was gone:\n%s", len(failed), failed.List())
	}
	// Kubelet looks for dead containers once a second, and starts one in less.
	if slow := later.Percentile(100); slow > 3*time.Second {
		t.Errorf("a request had its answer after %s; want 3s at most", slow)
	}
}

// activatorReplaced has another one take the place of the activator, as a new
// version does. Nothing fails.
func (w *world) activatorReplaced(t *testing.T) {
	old := w.part(t, "activator")
	traffic := w.Caller(subject, "/?sleep=50").Start(50)
	again := []byte(`{"spec":{"template":{"metadata":{"annotations":{"chaos":"again"}}}}}`)
	if _, err := w.Kubernetes().AppsV1().Deployments(servingv1.Namespace).Patch(t.Context(), "activator", types.MergePatchType, again, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, "there is another activator and no old one", func() bool {
		pods := w.PodsOf(servingv1.Namespace, "app=activator")
		return len(pods) == 1 && pods[0].UID != old.UID
	})
	time.Sleep(time.Second)
	all := traffic.Stop()
	t.Log(all)
	if failed := all.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
}

// apiServerGone takes the API server away for a minute. Nobody who asks for a
// revision that runs notices, then or when it is back, and the box takes the
// next edit.
func (w *world) apiServerGone(t *testing.T) {
	const manifest, aside = "/etc/kubernetes/manifests/kube-apiserver.yaml", "/etc/kubernetes/kube-apiserver.yaml"
	old := w.revision
	answers := func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := w.Kubernetes().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err == nil
	}
	traffic := w.Caller(subject, "/").Start(50)
	if err := w.Node("mv", manifest, aside); err != nil {
		t.Fatal(err)
	}
	back := func() error { return w.Node("mv", "--no-clobber", aside, manifest) }
	t.Cleanup(func() { _ = back() }) // it is there already, where nothing went wrong
	box.Eventually(t, "the API server is gone", func() bool { return !answers() })
	gone := time.Now()
	time.Sleep(time.Minute)
	if answers() {
		t.Error("the API server answers without its manifest")
	}
	if err := back(); err != nil {
		t.Fatal(err)
	}
	box.Eventually(t, "the API server answers", answers)
	t.Logf("the API server was gone for %s", time.Since(gone).Round(100*time.Millisecond))
	saved := time.Now()
	at := w.edit(t, "after-"+w.word)()
	var revision servingv1.Revision
	if err := w.Serving().Get(t.Context(), client.ObjectKey{Namespace: "default", Name: w.revision}, &revision); err != nil {
		t.Fatal(err)
	}
	t.Logf("an edit was live after %s; its revision was there after %s", at.Sub(saved).Round(time.Millisecond), revision.CreationTimestamp.Sub(saved).Round(time.Second))
	for _, pod := range w.PodsOf("default", servingv1.RevisionLabel+"="+w.revision) {
		t.Logf("its pod after %s, with kubelet after %s", pod.CreationTimestamp.Sub(saved).Round(time.Second), pod.Status.StartTime.Sub(saved).Round(time.Second))
	}
	time.Sleep(20 * time.Second) // by when Kubernetes would have found nodes and pods missing
	all := traffic.Stop()
	t.Log(all)
	if slow := all.Slower(3 * time.Second); len(slow) > 0 {
		t.Errorf("%d requests took more than three seconds, from %s to %s after the API server was back:\n%s", len(slow),
			slow[0].At.Sub(saved), slow[len(slow)-1].At.Sub(saved), slow.List())
	}
	if failed := all.Failed(); len(failed) > 0 {
		t.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	changeOnce(t, all, old, w.revision)
}
