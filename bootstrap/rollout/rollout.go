// Package rollout waits until a Deployment runs, and says of one that does not
// what its pods wait for.
package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// Timeout is how long a Deployment whose image is in the node may take
// to run.
const Timeout = 3 * time.Minute

// Await waits until a Deployment runs as it is written. Where it
// does not in time the error says what its pods wait for.
func Await(ctx context.Context, clients kubernetes.Interface, namespace, name string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, Timeout, errors.New("it does not run in "+Timeout.String()))
	defer cancel()
	list := cache.NewListWatchFromClient(clients.AppsV1().RESTClient(), "deployments", namespace, fields.OneTermEqualSelector("metadata.name", name))
	_, err := watchtools.UntilWithSync(ctx, list, &appsv1.Deployment{}, nil, func(e watch.Event) (bool, error) {
		d, ok := e.Object.(*appsv1.Deployment)
		return ok && e.Type != watch.Deleted && rolledOut(d), nil
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return fmt.Errorf("waiting for %s: %w%s", name, err, complaints(context.WithoutCancel(ctx), clients, namespace, name))
}

// rolledOut says whether every pod that a Deployment wants is of its newest
// form and available, and no other is left.
func rolledOut(d *appsv1.Deployment) bool {
	wanted := int32(1)
	if d.Spec.Replicas != nil {
		wanted = *d.Spec.Replicas
	}
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == wanted && s.AvailableReplicas == wanted && s.Replicas == wanted
}

// complaints is what the pods of a Deployment say of not running; "" where
// they, or the API server, say nothing.
func complaints(ctx context.Context, clients kubernetes.Interface, namespace, deployment string) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	pods, err := clients.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return ""
	}
	var said strings.Builder
	for _, p := range pods.Items {
		if !strings.HasPrefix(p.Name, deployment+"-") {
			continue
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				fmt.Fprintf(&said, "\n%s: %s", p.Name, c.Message)
			}
		}
		for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
			if w := c.State.Waiting; w != nil {
				fmt.Fprintf(&said, "\n%s: %s: %s %s", p.Name, c.Name, w.Reason, w.Message)
			}
		}
	}
	return said.String()
}
