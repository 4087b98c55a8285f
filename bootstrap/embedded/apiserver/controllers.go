package apiserver

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/controller-manager/pkg/informerfactory"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/controller/garbagecollector"
	"k8s.io/kubernetes/pkg/controller/namespace"
	"k8s.io/kubernetes/pkg/controller/serviceaccount"
)

// newKinds is how often the garbage collector looks for kinds it does not
// watch yet.
const newKinds = 2 * time.Second

// controllers are the parts of kube-controller-manager that make deletion
// work as in a cluster, and give every namespace its ServiceAccount default.
type controllers struct{ running sync.WaitGroup }

// startControllers runs garbage collection by owner reference, the emptying of
// deleted namespaces and the making of service accounts until ctx ends.
func startControllers(ctx context.Context, config *rest.Config) (*controllers, error) {
	client, err := kubernetes.NewForConfig(rest.AddUserAgent(config, "controllers"))
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a metadata client: %w", err)
	}
	typed := informers.NewSharedInformerFactory(client, 0)
	untyped := metadatainformer.NewSharedInformerFactory(meta, 0)
	started := make(chan struct{})

	collector, err := garbagecollector.NewGarbageCollector(ctx, client, meta,
		restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client.Discovery())),
		garbagecollector.DefaultIgnoredResources(),
		informerfactory.NewInformerFactory(typed, untyped), started)
	if err != nil {
		return nil, fmt.Errorf("making the garbage collector: %w", err)
	}
	namespaces := namespace.NewNamespaceController(ctx, client, meta,
		client.Discovery().ServerPreferredNamespacedResources,
		typed.Core().V1().Namespaces(), 5*time.Minute, corev1.FinalizerKubernetes)
	accounts, err := serviceaccount.NewServiceAccountsController(klog.FromContext(ctx),
		typed.Core().V1().ServiceAccounts(), typed.Core().V1().Namespaces(), client,
		serviceaccount.DefaultServiceAccountsControllerOptions())
	if err != nil {
		return nil, fmt.Errorf("making the controller of service accounts: %w", err)
	}

	typed.Start(ctx.Done())
	untyped.Start(ctx.Done())
	close(started)
	c := &controllers{}
	c.running.Go(func() { collector.Run(ctx, 2, 5*time.Second) })
	c.running.Go(func() { collector.Sync(ctx, client.Discovery(), newKinds) })
	c.running.Go(func() { namespaces.Run(ctx, 2) })
	c.running.Go(func() { accounts.Run(ctx, 1) })
	c.running.Go(func() {
		<-ctx.Done()
		typed.Shutdown()
		untyped.Shutdown()
	})
	return c, nil
}

func (c *controllers) wait() error {
	c.running.Wait()
	return nil
}
