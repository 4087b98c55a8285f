package activator

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
)

// watcher follows the API server. Losing it costs nothing but news: the
// informers keep what they have and try again.
type watcher struct {
	cache   cache.Cache
	changed chan struct{} // holds a token while something is not in the table yet
}

func newWatcher(ctx context.Context, config *rest.Config) (*watcher, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), servingv1.AddToScheme(scheme), servingv1beta1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("making a scheme: %w", err)
	}
	ours, err := labels.NewRequirement(servingv1.RevisionLabel, selection.Exists, nil)
	if err != nil {
		return nil, fmt.Errorf("making a selector: %w", err)
	}
	readOnly := true
	c, err := cache.New(config, cache.Options{
		Scheme:                       scheme,
		DefaultUnsafeDisableDeepCopy: &readOnly, // build only reads
		DefaultTransform:             cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}:       {Label: labels.NewSelector().Add(*ours), Transform: slim},
			&corev1.ConfigMap{}: {Namespaces: map[string]cache.Config{servingv1.Namespace: {}}},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("making a cache: %w", err)
	}
	w := &watcher{cache: c, changed: make(chan struct{}, 1)}
	for _, object := range []client.Object{&servingv1.Route{}, &servingv1.Revision{}, &servingv1beta1.DomainMapping{}, &corev1.Pod{}, &corev1.ConfigMap{}} {
		informer, err := c.GetInformer(ctx, object, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
		if _, err := informer.AddEventHandler(w); err != nil {
			return nil, fmt.Errorf("watching %T: %w", object, err)
		}
	}
	return w, nil
}

// slim keeps of a pod what the table needs.
func slim(object any) (any, error) {
	p, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	annotations := map[string]string{}
	for _, key := range []string{servingv1.DecidedAnnotation, servingv1.PortsAnnotation} {
		if value, ok := p.Annotations[key]; ok {
			annotations[key] = value
		}
	}
	p.ManagedFields, p.Annotations, p.OwnerReferences = nil, annotations, nil
	init, main := slimContainers(p.Spec)
	p.Spec = corev1.PodSpec{ServiceAccountName: p.Spec.ServiceAccountName, InitContainers: init, Containers: main}
	p.Status = corev1.PodStatus{
		Phase: p.Status.Phase, PodIP: p.Status.PodIP, Conditions: p.Status.Conditions,
		InitContainerStatuses: slimStatuses(p.Status.InitContainerStatuses), ContainerStatuses: slimStatuses(p.Status.ContainerStatuses),
	}
	return p, nil
}

var _ toolscache.ResourceEventHandler = (*watcher)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (w *watcher) OnAdd(any, bool) { w.note() }

// OnUpdate implements cache.ResourceEventHandler.
func (w *watcher) OnUpdate(any, any) { w.note() }

// OnDelete implements cache.ResourceEventHandler.
func (w *watcher) OnDelete(any) { w.note() }

func (w *watcher) note() {
	select {
	case w.changed <- struct{}{}:
	default: // one rebuild covers many changes
	}
}

// objects returns what the API server has, as far as it is known.
func (w *watcher) objects(ctx context.Context) (objects, error) {
	var (
		routes    servingv1.RouteList
		revisions servingv1.RevisionList
		mappings  servingv1beta1.DomainMappingList
		pods      corev1.PodList
		configs   corev1.ConfigMapList
	)
	for _, list := range []client.ObjectList{&routes, &revisions, &mappings, &pods, &configs} {
		if err := w.cache.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
			return objects{}, fmt.Errorf("listing %T: %w", list, err)
		}
	}
	return objects{routes: routes.Items, revisions: revisions.Items, mappings: mappings.Items, pods: pods.Items, configs: configs.Items}, nil
}
