package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// podsOf are the pods that were made of an object as it is now, and not of
// what it was before, the newest first.
func (d *Deployer) podsOf(ctx context.Context, u *unstructured.Unstructured) ([]corev1.Pod, error) {
	if u.GroupVersionKind().GroupKind().String() == "Pod" {
		var pod corev1.Pod
		err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod)
		return []corev1.Pod{pod}, err
	}
	selector, err := d.selectorOf(ctx, u)
	if selector == nil || err != nil {
		return nil, err
	}
	var pods corev1.PodList
	if err := d.client.List(ctx, &pods, client.InNamespace(u.GetNamespace()), client.MatchingLabelsSelector{Selector: selector}); err != nil {
		if passing(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("listing its pods: %w", err)
	}
	slices.SortFunc(pods.Items, func(a, b corev1.Pod) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	return standing(pods.Items), nil
}

// selectorOf finds the pods of an object's newest description, or is nil
// where there are none yet.
func (d *Deployer) selectorOf(ctx context.Context, u *unstructured.Unstructured) (labels.Selector, error) {
	spec, ok, _ := unstructured.NestedMap(u.Object, "spec", "selector")
	if !ok {
		return nil, nil
	}
	var s metav1.LabelSelector
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(spec, &s); err != nil {
		return nil, fmt.Errorf("reading its selector: %w", err)
	}
	selector, err := metav1.LabelSelectorAsSelector(&s)
	if err != nil {
		return nil, fmt.Errorf("reading its selector: %w", err)
	}
	hash := ""
	switch u.GetKind() {
	case "Deployment":
		hash, err = d.newestSet(ctx, u, selector)
		if hash == "" {
			return nil, err
		}
		return add(selector, appsv1.DefaultDeploymentUniqueLabelKey, hash)
	case "StatefulSet":
		hash, _, _ = unstructured.NestedString(u.Object, "status", "updateRevision")
		if hash == "" {
			return nil, nil
		}
		return add(selector, appsv1.StatefulSetRevisionLabel, hash)
	}
	return selector, nil
}

// newestSet is the hash of the ReplicaSet that a Deployment has now.
func (d *Deployer) newestSet(ctx context.Context, u *unstructured.Unstructured, selector labels.Selector) (string, error) {
	observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	if observed < u.GetGeneration() {
		return "", nil
	}
	var sets appsv1.ReplicaSetList
	err := d.client.List(ctx, &sets, client.InNamespace(u.GetNamespace()), client.MatchingLabelsSelector{Selector: selector})
	if err != nil && !passing(err) && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("listing its ReplicaSets: %w", err)
	}
	hash, newest := "", -1
	for _, s := range sets.Items {
		n, err := strconv.Atoi(s.Annotations["deployment.kubernetes.io/revision"])
		if err == nil && n > newest && metav1.IsControlledBy(&s, u) {
			hash, newest = s.Labels[appsv1.DefaultDeploymentUniqueLabelKey], n
		}
	}
	return hash, nil
}

func add(s labels.Selector, key, value string) (labels.Selector, error) {
	one, err := labels.ValidatedSelectorFromSet(labels.Set{key: value})
	if err != nil {
		return nil, err
	}
	more, _ := one.Requirements()
	return s.Add(more...), nil
}

// hopeless are the reasons for which a container waits that time does not
// mend.
var hopeless = []string{
	"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError",
}

// trouble says which pod has failed and why, if one has.
func trouble(pods []corev1.Pod) (reason string, failed bool) {
	for _, pod := range pods {
		if podReady(&pod) {
			continue
		}
		for _, c := range containers(pod) {
			if t := ended(c); t != nil && (t.ExitCode != 0 || c.State.Terminated != nil && pod.Spec.RestartPolicy == corev1.RestartPolicyAlways) {
				return fmt.Sprintf("pod %s: container %s %s", pod.Name, c.Name, ending(t)), true
			}
			if w := c.State.Waiting; w != nil && slices.Contains(hopeless, w.Reason) {
				return fmt.Sprintf("pod %s: container %s cannot start: %s", pod.Name, c.Name, join(w.Reason, w.Message)), true
			}
		}
		if pod.Status.Phase == corev1.PodFailed {
			return fmt.Sprintf("pod %s: %s", pod.Name, cmp.Or(pod.Status.Message, pod.Status.Reason, "it has failed")), true
		}
	}
	return "", false
}

// waitsFor says what an object that has not failed is waiting for.
func waitsFor(s progress, pods []corev1.Pod) string {
	for _, pod := range pods {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return fmt.Sprintf("%s: no node takes pod %s: %s", s.reason, pod.Name, cmp.Or(c.Message, c.Reason))
			}
		}
		for _, c := range containers(pod) {
			if w := c.State.Waiting; w != nil && (w.Message != "" || w.Reason != "ContainerCreating" && w.Reason != "PodInitializing") {
				return fmt.Sprintf("%s: pod %s: container %s is waiting: %s", s.reason, pod.Name, c.Name, join(w.Reason, w.Message))
			}
			if c.State.Running != nil && !c.Ready {
				return fmt.Sprintf("%s: pod %s: container %s runs and is not ready", s.reason, pod.Name, c.Name)
			}
		}
	}
	return s.reason
}

func podReady(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
