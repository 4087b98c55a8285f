package box

import (
	"context"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// names are those of the cluster's DNS that lead somewhere: the name of a
// route, or of a tag, is that of a Service beside it, and leads to the box's
// entrance.
type names struct {
	services cache.Store
	watch    cache.Controller
}

func newNames(clients kubernetes.Interface) *names {
	n := &names{}
	n.services, n.watch = cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.NewListWatchFromClient(clients.CoreV1().RESTClient(), "services", metav1.NamespaceAll, fields.Everything()),
		ObjectType:    &corev1.Service{},
		Handler:       cache.ResourceEventHandlerFuncs{},
		Transform:     bare,
	})
	return n
}

// bare leaves of a Service what names are made of.
func bare(o any) (any, error) {
	s, ok := o.(*corev1.Service)
	if !ok {
		return o, nil
	}
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.Namespace, Name: s.Name, ResourceVersion: s.ResourceVersion},
		Spec:       corev1.ServiceSpec{ExternalName: s.Spec.ExternalName},
	}, nil
}

// run follows the Services until ctx ends.
func (n *names) run(ctx context.Context) error {
	n.watch.RunWithContext(ctx)
	return nil
}

// address is where the name of a Service leads; !ok where it leads nowhere.
func (n *names) address(namespace, name string) (netip.Addr, bool) {
	o, exists, err := n.services.GetByKey(cache.NewObjectName(namespace, name).String())
	if s, ok := o.(*corev1.Service); err == nil && exists && ok && s.Spec.ExternalName == desired.ActivatorHost {
		return network.Entrance(), true
	}
	return netip.Addr{}, false
}
