package controller

import (
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/ingress"
)

// newScheme knows the kinds that the controller reads and writes, and no
// others: each costs memory.
func newScheme(withIngress bool) (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	add := []func(*runtime.Scheme) error{corev1.AddToScheme, servingv1.AddToScheme, servingv1beta1.AddToScheme, authenticationv1.AddToScheme}
	if withIngress {
		add = append(add, ingress.AddToScheme)
	}
	for _, f := range add {
		if err := f(scheme); err != nil {
			return nil, fmt.Errorf("making the scheme: %w", err)
		}
	}
	return scheme, nil
}

// cacheOptions keep of the cluster only what the controller looks at.
func cacheOptions(withIngress bool) cache.Options {
	by := map[client.Object]cache.ByObject{
		&corev1.Pod{}:       {Label: labelled(servingv1.RevisionUIDLabel), Transform: slimPod},
		&corev1.Service{}:   {Label: labelled(servingv1.RouteLabel)},
		&corev1.Node{}:      {Transform: slimNode},
		&corev1.Namespace{}: {Transform: slimNamespace},
		// A selector has one name or all; there are hardly any others.
		&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{servingv1.Namespace: {}}},
	}
	if withIngress {
		by[ingress.Kind()] = cache.ByObject{Label: labelled(servingv1.RouteLabel)}
	}
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject:         by,
	}
}

// glance is how one reconciler reads what another one writes: the cache's own
// object as it is now, to be read and not changed. A newer one brings the
// reconciler back by its watch; to wait for it here would put the other's
// write on the edit road.
var glance glancing

type glancing struct{}

// ApplyToGet implements client.GetOption.
func (glancing) ApplyToGet(o *client.GetOptions) {
	client.UnsafeDisableDeepCopy.ApplyToGet(o)
	client.DisableReadYourWritesConsistency.ApplyToGet(o)
}

// ApplyToList implements client.ListOption.
func (glancing) ApplyToList(o *client.ListOptions) {
	client.UnsafeDisableDeepCopy.ApplyToList(o)
	client.DisableReadYourWritesConsistency.ApplyToList(o)
}

func labelled(key string) labels.Selector {
	r, err := labels.NewRequirement(key, selection.Exists, nil)
	if err != nil {
		panic(err) // a constant
	}
	return labels.NewSelector().Add(*r)
}

// slimPod keeps of a pod who it is and how it does. What it is made of is
// never read back.
func slimPod(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.ManagedFields = nil
		pod.Annotations = only(pod.Annotations, servingv1.AdoptedAnnotation)
		pod.Spec = corev1.PodSpec{}
	}
	return obj, nil
}

// only keeps one of the annotations, if it is there.
func only(annotations map[string]string, key string) map[string]string {
	if value, ok := annotations[key]; ok {
		return map[string]string{key: value}
	}
	return nil
}

// slimNode keeps of a node whether it takes pods, how many cores it has, and
// whose network its pods have.
func slimNode(obj any) (any, error) {
	if node, ok := obj.(*corev1.Node); ok {
		node.ManagedFields, node.Labels = nil, nil
		node.Annotations = only(node.Annotations, servingv1.PodNetworkAnnotation)
		node.Status = corev1.NodeStatus{Conditions: node.Status.Conditions, Capacity: node.Status.Capacity}
	}
	return obj, nil
}

// slimNamespace keeps of a namespace whether it is in the mesh, and by whom.
func slimNamespace(obj any) (any, error) {
	if namespace, ok := obj.(*corev1.Namespace); ok {
		namespace.ManagedFields = nil
		namespace.Annotations = only(namespace.Annotations, desired.LedAnnotation)
	}
	return obj, nil
}
