package helm

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// getter is how the SDK reaches the cluster: with a given configuration
// instead of one that it looks for, and with nothing remembered on disk.
type getter struct {
	config    *rest.Config
	direct    discovery.DiscoveryInterface
	discovery discovery.CachedDiscoveryInterface // direct, remembered
	namespace string
}

func newGetter(config *rest.Config) (*getter, error) {
	config = rest.CopyConfig(config)
	config.QPS = -1 // the box's API server has no other users to be spared for
	d, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return &getter{config: config, direct: d, discovery: memory.NewMemCacheClient(d)}, nil
}

func (g *getter) in(namespace string) *getter {
	there := *g
	there.namespace = namespace
	return &there
}

func (g *getter) ToRESTConfig() (*rest.Config, error) { return rest.CopyConfig(g.config), nil }

func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

func (g *getter) ToRESTMapper() (meta.RESTMapper, error) {
	return restmapper.NewDeferredDiscoveryRESTMapper(g.discovery), nil
}

// ToRawKubeConfigLoader is asked by the SDK for the namespace alone.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	overrides := &clientcmd.ConfigOverrides{Context: clientcmdapi.Context{Namespace: g.namespace}}
	return clientcmd.NewDefaultClientConfig(*clientcmdapi.NewConfig(), overrides)
}

// AwaitKinds waits until the API server serves all the given resources.
func (c *Client) AwaitKinds(ctx context.Context, kinds ...schema.GroupVersionResource) error {
	for _, kind := range kinds {
		err := wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(context.Context) (bool, error) {
			served, err := c.cluster.direct.ServerResourcesForGroupVersion(kind.GroupVersion().String())
			if err != nil {
				return false, nil // not served yet; ctx bounds the wait
			}
			return slices.ContainsFunc(served.APIResources, func(r metav1.APIResource) bool { return r.Name == kind.Resource }), nil
		})
		if err != nil {
			return fmt.Errorf("waiting for %s to be served: %w", kind.GroupResource(), err)
		}
	}
	c.cluster.discovery.Invalidate()
	return nil
}
