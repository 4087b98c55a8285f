package controller

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// doorbell asks for a reconcile from inside the process: when a pod begins to
// answer, when the autoscaler changes its mind, when an image's digest is
// known. It is a controller-runtime Source.
type doorbell struct {
	mu    sync.Mutex
	queue workqueue.TypedRateLimitingInterface[reconcile.Request]
}

// Start implements source.Source.
func (d *doorbell) Start(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queue = queue
	return nil
}

// ring asks for a reconcile of key. Before Start it does nothing: a
// controller that starts reconciles everything.
func (d *doorbell) ring(key types.NamespacedName) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.queue != nil {
		d.queue.Add(reconcile.Request{NamespacedName: key})
	}
}
