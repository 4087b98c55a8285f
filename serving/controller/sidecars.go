package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/mesh"
)

// reasonNoSidecar is the reason of a revision whose pods were to get a sidecar
// and have none.
const reasonNoSidecar = "SidecarMissing"

// sidecars is what a revision's pods are to Istio's mesh.
type sidecars struct {
	namespace bool          // gives its pods a sidecar
	outdated  []*corev1.Pod // alive, and made when something else was asked for; those to lose first in front
	missing   *trouble      // a pod was to get a sidecar, and has none
}

// sidecarsOf says which of pods, which are alive, were made when something
// else was asked for. The controller goes by what it expected of a pod when it
// made it, and not by what the injector then did: else it would replace pods
// for ever where there is no injector.
func sidecarsOf(rev *servingv1.Revision, namespace bool, pods []*corev1.Pod) sidecars {
	s := sidecars{namespace: namespace}
	want := desired.Sidecar(rev, namespace)
	for _, pod := range pods {
		expected := pod.Labels[servingv1.MeshLabel] == servingv1.MeshSidecar
		switch _, has := pod.Labels[mesh.TLSModeLabel]; {
		case expected != want:
			s.outdated = append(s.outdated, pod)
		case want && !has:
			s.missing = &trouble{reasonNoSidecar, fmt.Sprintf(
				"Pod %s was to get a sidecar of Istio's, and has none: no istiod injects one here.", pod.Name)}
		}
	}
	return s
}

// reasonSidecarLate is the reason of a revision whose pods' sidecars run and do
// not become ready.
const reasonSidecarLate = "SidecarNotReady"

// sidecarLate is a sidecar that was not ready in time: kubelet has told
// queue-proxy, whose postStart waits for it, to end. It ends well then, which
// it does of itself only with its pod.
func sidecarLate(pod *corev1.Pod) *trouble {
	if pod.Labels[mesh.TLSModeLabel] == "" {
		return nil
	}
	for _, s := range pod.Status.ContainerStatuses {
		end := cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated)
		if s.Name == servingv1.QueueContainer && end != nil && end.ExitCode == 0 {
			return &trouble{reasonSidecarLate, fmt.Sprintf(
				"Istio's sidecar of pod %s does not become ready; its log says why: kubectl logs -n %s %s -c istio-proxy.", pod.Name, pod.Namespace, pod.Name)}
		}
	}
	return nil
}

// inMesh says whether a namespace's pods are given a sidecar. In a box whose
// services are in the mesh, the first revision leads its namespace there:
// `devbox up --mesh` has led those that it knew of.
func (r *revisions) inMesh(ctx context.Context, name string) (bool, error) {
	var namespace corev1.Namespace
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &namespace, glance); err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", name, err)
	}
	if !desired.Unled(namespace.Labels, namespace.Annotations) {
		return desired.InMesh(namespace.Labels), nil
	}
	var config corev1.ConfigMap
	err := r.client.Get(ctx, client.ObjectKey{Namespace: servingv1.Namespace, Name: mesh.ConfigName}, &config, glance)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading ConfigMap %s: %w", mesh.ConfigName, err)
	}
	mode, err := mesh.ParseMode(config.Data)
	if err != nil || mode != mesh.Strict || config.Annotations[mesh.GatewayAnnotation] != mesh.GatewayTLS {
		return false, nil // what is wrong with it is told elsewhere
	}
	patch := fmt.Appendf(nil, `{"metadata":{"labels":{%q:%q},"annotations":{%q:"in"}}}`,
		desired.InjectionLabel, desired.InjectionEnabled, desired.LedAnnotation)
	if err := r.client.Patch(ctx, namespace.DeepCopy(), client.RawPatch(types.MergePatchType, patch), fieldOwner); err != nil {
		return false, fmt.Errorf("leading namespace %s into the mesh: %w", name, err)
	}
	return true, nil
}

// revisionsOfNamespace maps a namespace, whose labels may have changed, to the
// revisions in it.
func (r *revisions) revisionsOfNamespace(ctx context.Context, namespace client.Object) []reconcile.Request {
	var list servingv1.RevisionList
	if err := r.client.List(ctx, &list, client.InNamespace(namespace.GetName()), glance); err != nil {
		return nil // the cache has stopped, and the controller with it
	}
	var names []string
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return requests(namespace.GetName(), names)
}

// surge is how many pods too many there may be while others take their place:
// a quarter, as a Deployment has it.
func surge(want int) int { return max(1, want/4) }

// exchange is how many pods to make and which to delete, so that outdated ones
// give way to others and as many as are wanted answer all the time.
func exchange(seen observation, want int, answers func(*corev1.Pod) bool) (add int, gone []*corev1.Pod) {
	outdated := map[*corev1.Pod]bool{}
	for _, pod := range seen.outdated() {
		outdated[pod] = true
	}
	fresh, up, crashed := 0, 0, false
	for _, pod := range seen.alive {
		if outdated[pod] {
			continue
		}
		if fresh++; answers(pod) {
			up++
		}
		crashed = crashed || podCrash(pod) != nil
	}
	add = max(0, min(want-fresh, surge(want)-(fresh-up)))
	enough := len(outdated) - max(0, want-up)
	gone = seen.outdated()[:max(0, enough)]
	for _, pod := range seen.adopted.outdated {
		if crashed && !answers(pod) && !slices.Contains(gone, pod) {
			gone = append(gone, pod) // of two that crash the manifest's is enough
		}
	}
	return add, gone
}
