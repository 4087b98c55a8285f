package compare

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Usage is what a container has taken so far.
type Usage struct {
	CPU    time.Duration // of all cores together
	Memory uint64        // its working set now, in bytes
}

// place is a container on the way of a variant's requests.
type place struct {
	name   string // as it is shown
	shared bool   // by other variants and services
	id     string // of the node's container runtime
}

// The parts of the box that are on the way, by the labels of their pods.
var (
	gatewayPods   = shared{"gateway", "istio-system", client.MatchingLabels{"istio": "ingressgateway"}}
	activatorPods = shared{"activator", "knative-serving", client.MatchingLabels{"app": "activator"}}
)

type shared struct {
	name, namespace string
	labels          client.MatchingLabels
}

// way is all containers that the requests of each variant pass, in that order.
func (s *stage) way(ctx context.Context) (map[string][]place, error) {
	own, err := s.pods(ctx)
	if err != nil {
		return nil, err
	}
	before := map[bool][]place{} // whether by the serving stack
	for _, part := range []shared{gatewayPods, activatorPods} {
		var list corev1.PodList
		if err := s.client.List(ctx, &list, client.InNamespace(part.namespace), part.labels); err != nil {
			return nil, fmt.Errorf("listing the pods of the %s: %w", part.name, err)
		}
		for _, pod := range list.Items {
			found := places(&pod)
			for i := range found {
				found[i].name, found[i].shared = part.name, true
			}
			before[true] = append(before[true], found...)
			if part.name == gatewayPods.name {
				before[false] = append(before[false], found...)
			}
		}
	}
	all := map[string][]place{}
	for _, v := range Variants {
		all[v.Name] = slices.Clone(before[v.Serving])
		for _, pod := range own[v.Name] {
			all[v.Name] = append(all[v.Name], places(&pod)...)
		}
	}
	return all, nil
}

// order is that in which a request comes to containers; others are last.
var order = []string{gatewayPods.name, activatorPods.name, "istio-proxy", "queue-proxy"}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// places are the containers of a pod that run.
func places(pod *corev1.Pod) []place {
	var all []place
	for _, of := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, c := range of {
			if _, id, ok := strings.Cut(c.ContainerID, "://"); ok && c.State.Running != nil {
				all = append(all, place{name: c.Name, id: id})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b place) int { return rank(a.name) - rank(b.name) })
	return all
}

// ids are those of containers, each once.
func ids(all ...[]place) []string {
	var found []string
	for _, p := range slices.Concat(all...) {
		found = append(found, p.id)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// taken is what each name of a way took between two looks, and has now.
func taken(way []place, before, after map[string]Usage) map[string]Usage {
	all := map[string]Usage{}
	for _, p := range way {
		sum := all[p.name]
		sum.CPU += max(after[p.id].CPU-before[p.id].CPU, 0)
		sum.Memory += after[p.id].Memory
		all[p.name] = sum
	}
	return all
}
