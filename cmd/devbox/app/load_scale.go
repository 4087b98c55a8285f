package app

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/load"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
)

// scale is what the autoscaler goes by for the revision that a service has
// now: read by the autoscaler's own code, so that there is one reading of an
// annotation. It is nil where that is not known.
func (c *cluster) scale(ctx context.Context, service *servingv1.Service) *load.Scale {
	if service == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, firstLook)
	defer cancel()
	var now servingv1.Service
	var revision servingv1.Revision
	var settings corev1.ConfigMap
	if err := c.client.Get(ctx, client.ObjectKeyFromObject(service), &now); err != nil {
		return nil
	}
	key := client.ObjectKey{Namespace: now.Namespace, Name: now.Status.LatestReadyRevisionName}
	if err := c.client.Get(ctx, key, &revision); err != nil {
		return nil
	}
	key = client.ObjectKey{Namespace: servingv1.Namespace, Name: "config-autoscaler"}
	if err := c.client.Get(ctx, key, &settings); client.IgnoreNotFound(err) != nil {
		return nil
	}
	config, err := autoscaler.ParseConfig(settings.Data)
	if err != nil {
		return nil
	}
	limit := int64(0)
	if n := revision.Spec.ContainerConcurrency; n != nil {
		limit = *n
	}
	spec, err := config.Spec(revision.Annotations, limit)
	if err != nil {
		return nil
	}
	return &load.Scale{Metric: string(spec.Metric), Target: spec.Target, Min: int(spec.MinScale), Max: int(spec.MaxScale)}
}
