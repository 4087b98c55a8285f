package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// cluster is a box whose API server can be asked.
type cluster struct {
	d      *devbox
	box    *bootstrap.Box
	config *rest.Config
	client client.Client
}

// cluster finds the box and connects to it.
func (d *devbox) cluster(ctx context.Context) (*cluster, error) {
	box, err := d.load()
	if err != nil {
		return nil, err
	}
	config, err := box.RESTConfig()
	if err != nil {
		return nil, classify(codeCluster, err, d.command("up"))
	}
	if nobodyListens(ctx, config.Host) {
		return nil, &problem{code: codeCluster, cause: fmt.Errorf("box %q does not run: nobody listens at %s, where its API server should be", d.name, config.Host), next: d.command("up")}
	}
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, servingv1.AddToScheme} {
		if err := add(kinds); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		return nil, classify(codeCluster, fmt.Errorf("connecting to the box: %w", err), d.command("up"))
	}
	if namespace := box.Namespace(); namespace != "" {
		c = client.NewNamespacedClient(c, namespace)
	}
	return &cluster{d: d, box: box, config: config, client: c}, nil
}

// nobodyListens says whether a connection to a server is refused. What else is
// wrong with it, who asks it finds out.
func nobodyListens(ctx context.Context, server string) bool {
	at, err := url.Parse(server)
	if err != nil {
		return false
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	_ = conn.Close() // nothing was said
	return false
}

// services lists the box's Services, or those of a name, which must be there and
// may have its namespace in front.
func (c *cluster) services(ctx context.Context, name string) ([]servingv1.Service, error) {
	var list servingv1.ServiceList
	var of []client.ListOption
	if g := c.box.Guest; g != nil { // the others there are other people's
		of = append(of, client.MatchingLabels{servingv1.GuestLabel: g.ID})
	}
	if err := c.client.List(ctx, &list, of...); err != nil {
		return nil, classify(codeCluster, fmt.Errorf("listing the services: %w", err), c.d.command("up"))
	}
	if name == "" {
		return list.Items, nil
	}
	namespace, bare := split(name)
	var named []servingv1.Service
	for _, service := range list.Items {
		if service.Name == bare && (namespace == "" || service.Namespace == namespace) {
			named = append(named, service)
		}
	}
	if len(named) == 0 {
		return nil, c.noService(name, list.Items)
	}
	return named, nil
}

// noService is the problem of a name that no service has, with those that have
// one.
func (c *cluster) noService(name string, services []servingv1.Service) error {
	var known []string
	for _, s := range services {
		known = append(known, s.Namespace+"/"+s.Name)
	}
	return &problem{code: codeUsage, cause: fmt.Errorf("there is no service %q; %s", name, thereAre("services", known)), next: c.d.command("services")}
}

// thereAre says what there is of a kind, a few of them by name.
func thereAre(kind string, names []string) string {
	const few = 8
	switch {
	case len(names) == 0:
		return "there are no " + kind
	case len(names) > few:
		return fmt.Sprintf("there are %d %s, such as %s", len(names), kind, strings.Join(names[:few], ", "))
	}
	return fmt.Sprintf("the %s are %s", kind, strings.Join(names, ", "))
}

// url is a service's address for a browser on this machine, or why it has none.
func (c *cluster) url(service *servingv1.Service) (address, why string) {
	if !knowsLocalhost(c.box) { // whether its name is known is up to whoever runs the cluster
		return service.Status.URL, "it has no URL yet"
	}
	host, why := servingv1.BrowserHost(service)
	if host == "" {
		return "", why
	}
	return fmt.Sprintf("http://%s:%s", host, portOf(c.box.Gateway())), ""
}

// portOf is the port of a URL.
func portOf(address string) string {
	u, err := url.Parse(address)
	switch {
	case err != nil:
		return ""
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// host is the service's host, by its status.
func (c *cluster) host(service *servingv1.Service) string {
	return servingv1.ServiceHost(service, "", c.box.Domain)
}
