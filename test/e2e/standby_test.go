//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// standBy has a pod that stands by become the next revision's and give way to
// the pod of the manifest; one killed while it waits, and one that hangs, hold up
// nobody for long; and no request fails.
func (d *day) standBy(t *testing.T) {
	poll := d.Poll(host, 10*time.Millisecond)
	adopted := d.adopted(t)
	if owner := metav1.GetControllerOf(&adopted); owner == nil || owner.Kind != "Revision" || owner.Name != adopted.Labels[servingv1.RevisionLabel] {
		t.Errorf("pod %s belongs to %+v; want its revision, %s", adopted.Name, owner, adopted.Labels[servingv1.RevisionLabel])
	}
	box.Eventually(t, "one pod serves, and is counted", func() bool {
		rev := d.revision(t, adopted.Labels[servingv1.RevisionLabel])
		return d.Pods() == 1 && rev.Status.ActualReplicas != nil && *rev.Status.ActualReplicas == 1
	})
	if out, code := d.Run("status"); code != 0 || !strings.Contains(out, adopted.Name+", which stood by, serves until") {
		t.Errorf("devbox status: exit %d; want that %s serves:\n%s", code, adopted.Name, out)
	}

	d.KillPod(d.waiting(t))
	d.save(t, `"Goddag `, `"Hej `)
	d.answer = "Hej World!"
	d.expect(t, d.answer)

	halted := d.waiting(t)
	d.HaltPod(halted)
	d.save(t, `"Hej `, `"Salut `)
	d.answer = "Salut World!"
	d.expect(t, d.answer)
	d.KillPod(halted) // it has until the end of its grace
	box.Eventually(t, "the pod that could not follow its order has gone", func() bool {
		return !slices.ContainsFunc(d.PodsOf(metav1.NamespaceDefault, ""), func(p corev1.Pod) bool { return p.UID == halted.UID })
	})
	d.save(t, `"Salut `, `"Hej `)
	d.answer = "Hej World!"
	d.expect(t, d.answer)

	box.Eventually(t, "the pod of the manifest has taken the place of the one that stood by", func() bool {
		return d.Pods() == 1 && len(d.PodsOf(metav1.NamespaceDefault, servingv1.StandbyLabel+"="+servingv1.StandbyAdopted)) == 0
	})
	d.expect(t, d.answer)
	box.Eventually(t, "the revision has nothing more to say of it", func() bool {
		return d.revision(t, d.PodsOf(metav1.NamespaceDefault, box.Of("hello"))[0].Labels[servingv1.RevisionLabel]).Status.Annotations[servingv1.StandbyAnnotation] == ""
	})
	if requests, failures, _ := poll.Stop(); len(failures) > 0 {
		t.Errorf("%d of %d requests failed:\n%s", len(failures), requests, strings.Join(failures, "\n"))
	}
}

// adopted saves an edit, and returns the pod that stood by before and serves it.
// Whether one waits is the controller's knowledge alone: an edit that has come
// too soon makes a pod of its own, and is made again.
func (d *day) adopted(t *testing.T) corev1.Pod {
	t.Helper()
	for range 3 {
		stood := d.waiting(t)
		d.save(t, `"Hej `, `"Goddag `)
		d.answer = "Goddag World!"
		d.expect(t, d.answer)
		for _, pod := range d.PodsOf(metav1.NamespaceDefault, servingv1.StandbyLabel+"="+servingv1.StandbyAdopted) {
			if pod.UID == stood.UID {
				return pod
			}
		}
		d.save(t, `"Goddag `, `"Hej `)
	}
	t.Fatal("of three edits none was served by the pod that stood by")
	return corev1.Pod{}
}

// waiting is the pod that stands by, once its programs have begun.
func (d *day) waiting(t *testing.T) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	box.Eventually(t, "a pod stands by", func() bool {
		for _, pod := range d.PodsOf(metav1.NamespaceDefault, servingv1.StandbyLabel+"="+servingv1.StandbyWaits) {
			running := 0
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Running != nil {
					running++
				}
			}
			if running == len(pod.Spec.Containers) && pod.DeletionTimestamp == nil {
				found = &pod
			}
		}
		return found != nil
	})
	return found
}

func (d *day) revision(t *testing.T, name string) *servingv1.Revision {
	t.Helper()
	var rev servingv1.Revision
	if err := d.Serving().Get(t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}, &rev); err != nil {
		t.Fatal(err)
	}
	return &rev
}
