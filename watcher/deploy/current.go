package deploy

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Current is the Rollout of what a Service says now, whoever made it, for Wait.
func (d *Deployer) Current(ctx context.Context, key client.ObjectKey) (*Rollout, error) {
	var s servingv1.Service
	if err := again(ctx, func() error { return d.client.Get(ctx, key, &s) }); err != nil {
		return nil, fmt.Errorf("reading the Service %s: %w", key.Name, err)
	}
	r := &Rollout{
		service: &s, template: s.Spec.Template.Annotations[TemplateAnnotation], host: d.Host(&s),
		follows: follows(s.Spec.Traffic, s.Status.LatestCreatedRevisionName), start: time.Now(),
	}
	r.listens(&s.Spec.Template.Spec)
	return r, nil
}

// listens notes where a revision of a spec is to listen, and who asks it.
func (r *Rollout) listens(spec *servingv1.RevisionSpec) {
	if c := spec.ServingContainer(); c != nil {
		r.port, r.probed = c.UserPort(), c.ReadinessProbe != nil
	}
}

// Has says whether there is a Service of that name. Where nobody can tell, there
// is none.
func (d *Deployer) Has(ctx context.Context, s *servingv1.Service) bool {
	return d.client.Get(ctx, client.ObjectKeyFromObject(s), &servingv1.Service{}) == nil
}
