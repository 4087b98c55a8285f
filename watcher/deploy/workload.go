package deploy

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Workload says which pods run something that no Service of the serving stack
// made: those that a selector finds in a namespace, or one by its name.
type Workload struct{ Namespace, Selector, Pod string }

// PodsBy are the pods of the Deployment, StatefulSet, DaemonSet, Job or Pod of
// a name, of the first kind that has one in the first namespace that has; nil
// if none has. Kinds that the box does not know have none.
func PodsBy(ctx context.Context, c client.Client, namespace, name string) (*Workload, error) {
	for _, list := range []client.ObjectList{
		&appsv1.DeploymentList{}, &appsv1.StatefulSetList{}, &appsv1.DaemonSetList{}, &batchv1.JobList{}, &corev1.PodList{},
	} {
		switch err := c.List(ctx, list); {
		case meta.IsNoMatchError(err), apierrors.IsNotFound(err):
			continue
		case err != nil:
			return nil, fmt.Errorf("looking for what is called %s: %w", name, err)
		}
		var found *Workload
		err := meta.EachListItem(list, func(o runtime.Object) error {
			if object, ok := o.(client.Object); ok && found == nil && object.GetName() == name && (namespace == "" || object.GetNamespace() == namespace) {
				found = workload(object)
			}
			return nil
		})
		if found != nil || err != nil {
			return found, err
		}
	}
	return nil, nil
}

func workload(o client.Object) *Workload {
	w := &Workload{Namespace: o.GetNamespace()}
	var selector *metav1.LabelSelector
	switch o := o.(type) {
	case *appsv1.Deployment:
		selector = o.Spec.Selector
	case *appsv1.StatefulSet:
		selector = o.Spec.Selector
	case *appsv1.DaemonSet:
		selector = o.Spec.Selector
	case *batchv1.Job:
		selector = o.Spec.Selector
	case *corev1.Pod:
		w.Pod = o.Name
		return w
	}
	w.Selector = metav1.FormatLabelSelector(selector)
	return w
}
