package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/netfilter"
	"github.com/kind-in-a-box/devbox/internal/way"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// sidecar is the name of the container that Istio adds to a pod; sidecarUser is
// as whom it runs once it has begun, by which Istio's rules tell its connections.
const (
	sidecar     = "istio-proxy"
	sidecarUser = 1337
)

// networks is how to read the networks of a service's pods that have a
// sidecar, for who draws the way of a request.
func networks(box *bootstrap.Box, c client.Client, service *servingv1.Service) func(context.Context) map[string]way.Network {
	node := box.Node()
	if node == nil {
		return nil // pods have no network of their own
	}
	return func(ctx context.Context) map[string]way.Network {
		var pods corev1.PodList
		err := c.List(ctx, &pods, client.InNamespace(service.Namespace), client.MatchingLabels{servingv1.ServiceLabel: service.Name})
		if err != nil {
			return nil // without its pods the way is as it was reported
		}
		found := map[string]way.Network{}
		var uids []string
		for _, pod := range pods.Items {
			if container(&pod, sidecar) != nil {
				found[pod.Name] = network(&pod)
				uids = append(uids, string(pod.UID))
			}
		}
		said, err := node.Networks(ctx, uids)
		for _, pod := range pods.Items {
			if n, ok := found[pod.Name]; ok {
				found[pod.Name] = readNetwork(n, said[string(pod.UID)], err)
			}
		}
		return found
	}
}

// readNetwork puts what the node said of a pod's network into it.
func readNetwork(n way.Network, said bootstrap.Network, err error) way.Network {
	if err == nil && said.Failed != "" {
		err = errors.New(said.Failed)
	}
	if err == nil {
		n.Rules, err = netfilter.Parse(said.Rules)
	}
	if err == nil && n.Rules.Empty() {
		err = errors.New("there are none in iptables: the sidecar may be reached in another way")
	}
	if err != nil {
		n.Failed = fmt.Sprintf("%v.", err)
		return n
	}
	n.Flows = netfilter.ParseFlows(said.Connections)
	return n
}

// network is what a pod's own words say of its network.
func network(pod *corev1.Pod) way.Network {
	n := way.Network{ProxyUser: sidecarUser, QueueUser: user(pod, "queue-proxy")}
	for _, c := range pod.Spec.Containers {
		if c.Name == sidecar {
			continue
		}
		for _, p := range c.Ports {
			n.Ports = append(n.Ports, way.Port{Name: p.Name, Port: uint16(p.ContainerPort)})
		}
	}
	slices.SortFunc(n.Ports, func(a, b way.Port) int { return int(a.Port) - int(b.Port) })
	return n
}

// container is the container of a name, among those that stay; nil where there
// is none.
func container(pod *corev1.Pod, name string) *corev1.Container {
	for _, all := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range all {
			if all[i].Name == name {
				return &all[i]
			}
		}
	}
	return nil
}

// user is as whom a container runs, -1 where its spec does not say.
func user(pod *corev1.Pod, name string) int {
	c := container(pod, name)
	if c == nil || c.SecurityContext == nil || c.SecurityContext.RunAsUser == nil {
		return -1
	}
	return int(*c.SecurityContext.RunAsUser)
}
