package app

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/kind-in-a-box/devbox/internal/served"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// subject is what a load or a trace is of: a service, or what a VirtualService
// of the box leads to without the serving stack.
type subject struct {
	name, namespace string
	host            string
	pods            labels.Selector // nil where none are known
	service         *servingv1.Service
}

// subject finds what a command is asked to be of: the service of a name, the
// VirtualService of one, or whatever a host leads to.
func (c *cluster) subject(ctx context.Context, command, name, host string) (*subject, error) {
	if name != "" && host != "" {
		return nil, &problem{code: codeUsage, cause: fmt.Errorf("%s takes a service or --host, and not both", command)}
	}
	others, err := c.others(ctx)
	if err != nil {
		return nil, err
	}
	if host != "" {
		return c.ofHost(ctx, host, others)
	}
	service, err := c.oneService(ctx, command, name)
	if err == nil {
		return c.ofService(service), nil
	}
	for _, h := range others {
		if name != "" && (h.Of == name || h.Namespace+"/"+h.Of == name) {
			return c.ofVirtualService(ctx, h)
		}
	}
	return nil, err
}

// others are the hosts of the box's VirtualServices. In a cluster that is shared
// they are not looked at: what is the box's there has its label, and is a service.
func (c *cluster) others(ctx context.Context) ([]served.Host, error) {
	if c.box.Guest != nil {
		return nil, nil
	}
	hosts, err := served.Hosts(ctx, c.client)
	return hosts, classify(codeCluster, err, c.d.command("status"))
}

func (c *cluster) ofService(s *servingv1.Service) *subject {
	return &subject{
		name: s.Name, namespace: s.Namespace, host: c.host(s), service: s,
		pods: labels.SelectorFromSet(labels.Set{servingv1.ServiceLabel: s.Name}),
	}
}

// ofHost is what has a host, which must be of the box.
func (c *cluster) ofHost(ctx context.Context, host string, others []served.Host) (*subject, error) {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	services, err := c.services(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		if c.host(&s) == host {
			return c.ofService(&s), nil
		}
	}
	var known []string
	for _, h := range others {
		if h.Name == host {
			return c.ofVirtualService(ctx, h)
		}
		known = append(known, h.Name)
	}
	for _, s := range services {
		known = append(known, c.host(&s))
	}
	slices.Sort(known)
	return nil, &problem{
		code: codeUsage, cause: fmt.Errorf("%s is no host of this box, and nothing else is ever a target", host),
		evidence: known, next: c.d.command("status"),
	}
}

func (c *cluster) ofVirtualService(ctx context.Context, h served.Host) (*subject, error) {
	pods, namespace, err := served.Pods(ctx, c.client, h)
	if err != nil {
		return nil, classify(codeCluster, err, c.d.command("status"))
	}
	return &subject{name: h.Of, namespace: namespace, host: h.Name, pods: pods}, nil
}

// unready is the problem of a service that cannot answer yet.
func (s *subject) unready(next string) error {
	if s.service == nil || s.service.Status.LatestReadyRevisionName != "" {
		return nil
	}
	return &problem{code: codeRollout, cause: fmt.Errorf("no revision of %s has been ready yet", s.name), next: next}
}
