package node

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/tools/cache"
)

// retryBinding is how often a pod that could not be bound is tried again.
const retryBinding = 10 * time.Second

// runPods runs the pods bound to the node until ctx ends, and returns when
// all their processes have.
func (n *node) runPods(ctx context.Context, ready func()) error {
	left, err := n.leftBehind()
	if err != nil {
		return err
	}
	watchBound := n.watch(n.name, 0, cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.see(ctx, o) },
		UpdateFunc: func(_, o any) { n.see(ctx, o) },
		DeleteFunc: n.gone,
	})
	watchUnbound := n.watch("", retryBinding, cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { n.bind(ctx, o) },
		UpdateFunc: func(_, o any) { n.bind(ctx, o) },
	})
	var watching sync.WaitGroup
	watching.Go(func() { watchBound.RunWithContext(ctx) })
	watching.Go(func() { watchUnbound.RunWithContext(ctx) })
	select {
	case <-ctx.Done():
	case <-watchBound.HasSyncedChecker().Done():
		if ready != nil {
			ready()
		}
		if err := n.sweep(ctx, left); err != nil && ctx.Err() == nil {
			n.log.Warn("removing the files of pods that are no more", "error", err)
		}
	}
	watching.Wait() // until ctx ends
	n.running.Wait()
	return nil
}

// watch follows the pods that are bound to the node called name.
func (n *node) watch(name string, resync time.Duration, handler cache.ResourceEventHandler) cache.Controller {
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(n.client.CoreV1().RESTClient(), "pods",
			metav1.NamespaceAll, fields.OneTermEqualSelector("spec.nodeName", name)),
		ObjectType:   &corev1.Pod{},
		Handler:      handler,
		ResyncPeriod: resync,
		Transform:    slim,
	})
	return controller
}

// slim drops what the node never looks at.
func slim(o any) (any, error) {
	if p, ok := o.(*corev1.Pod); ok {
		p.ManagedFields = nil
	}
	return o, nil
}

// see takes a pod, or what is new of it.
func (n *node) see(ctx context.Context, o any) {
	object, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p, ok := n.pods[object.UID]; ok {
		p.see(object)
		return
	}
	if ctx.Err() != nil {
		return
	}
	p, life, limit := newPod(ctx, n, object)
	n.pods[object.UID] = p
	n.running.Go(func() {
		p.run(ctx, life, limit)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.pods, object.UID)
	})
}

// gone ends a pod that is not in the API server any more.
func (n *node) gone(o any) {
	if unknown, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = unknown.Obj
	}
	object, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if p, ok := n.pods[object.UID]; ok {
		p.leave()
	}
}

// bind takes a pod that has no node yet, as a scheduler would: this node is
// the only one.
func (n *node) bind(ctx context.Context, o any) {
	pod, ok := o.(*corev1.Pod)
	if !ok || pod.DeletionTimestamp != nil || len(pod.Spec.SchedulingGates) > 0 ||
		pod.Spec.SchedulerName != "" && pod.Spec.SchedulerName != corev1.DefaultSchedulerName {
		return
	}
	n.running.Go(func() {
		err := n.client.CoreV1().Pods(pod.Namespace).Bind(ctx, &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: n.name},
		}, metav1.CreateOptions{})
		switch {
		case err == nil:
			n.events.note(podReference(pod, ""), "Scheduled", "Successfully assigned %s/%s to %s", pod.Namespace, pod.Name, n.name)
		case apierrors.IsNotFound(err), apierrors.IsConflict(err), ctx.Err() != nil:
			// It is gone or bound already.
		default:
			n.log.Warn("binding a pod; it is tried again", "pod", pod.Namespace+"/"+pod.Name, "error", err)
		}
	})
}

// leftBehind are the directories of pods that the last node had.
func (n *node) leftBehind() ([]os.DirEntry, error) {
	dirs, err := os.ReadDir(filepath.Join(n.dir, podsDir))
	if err != nil {
		return nil, fmt.Errorf("looking for what pods have left: %w", err)
	}
	return dirs, nil
}

// sweep removes those of dirs whose pods went while no node was running. It
// asks the API server after dirs were listed: none is of a pod that came since.
func (n *node) sweep(ctx context.Context, dirs []os.DirEntry) error {
	if len(dirs) == 0 {
		return nil
	}
	pods, err := n.client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", n.name).String(),
	})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	known := map[string]bool{}
	for _, p := range pods.Items {
		known[string(p.UID)] = true
	}
	for _, d := range dirs {
		if known[d.Name()] {
			continue
		}
		if err := os.RemoveAll(filepath.Join(n.dir, podsDir, d.Name())); err != nil {
			return fmt.Errorf("removing what a pod has left: %w", err)
		}
	}
	return nil
}
