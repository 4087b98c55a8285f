package deploy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// ServicePods are the pods of all revisions of a Service, the newest
// revision's first and of each the newest pod first, and a channel that is
// closed when they may be others. Run must run beside it.
func (d *Deployer) ServicePods(ctx context.Context, service client.ObjectKey) ([]corev1.Pod, <-chan struct{}, error) {
	if !d.cache.WaitForCacheSync(ctx) { // until Run has got that far
		return nil, nil, context.Cause(ctx)
	}
	changed := d.bell()
	var pods corev1.PodList
	err := d.cache.List(ctx, &pods, client.InNamespace(service.Namespace), client.MatchingLabels{servingv1.ServiceLabel: service.Name})
	if err != nil {
		return nil, nil, fmt.Errorf("listing the pods of %s: %w", service.Name, err)
	}
	slices.SortStableFunc(pods.Items, func(a, b corev1.Pod) int {
		return cmp.Or(cmp.Compare(generation(&b), generation(&a)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time))
	})
	return pods.Items, changed, nil
}

// HasPods says whether any pod of a Service is known. Run must run beside it, and
// have its caches.
func (d *Deployer) HasPods(ctx context.Context, service client.ObjectKey) bool {
	pods, _, err := d.ServicePods(ctx, service)
	return err == nil && len(pods) > 0
}

// generation is the one of the Configuration that a pod's revision was made of.
func generation(pod *corev1.Pod) int {
	n, _ := strconv.Atoi(pod.Labels[servingv1.ConfigurationGenerationLabel]) // the platform writes it
	return n
}

// MaxTimeout is the longest that a revision may ask for in the box, in seconds.
func (d *Deployer) MaxTimeout(ctx context.Context) (int64, error) {
	const key = "max-revision-timeout-seconds"
	var defaults corev1.ConfigMap
	err := again(ctx, func() error {
		return d.client.Get(ctx, client.ObjectKey{Namespace: servingv1.Namespace, Name: "config-defaults"}, &defaults)
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return 0, fmt.Errorf("reading config-defaults: %w", err)
	}
	if most, err := strconv.ParseInt(defaults.Data[key], 10, 64); err == nil && most > 0 {
		return most, nil
	}
	return servingv1.MaxTimeoutSeconds, nil // also where the box does not go by what is there, and says so
}
