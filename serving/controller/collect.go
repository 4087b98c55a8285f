package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// maxNonActiveRevisions is how many revisions that no route names are kept,
// for rollbacks: config-gc's min- and max-non-active-revisions in one. A box
// makes a revision for every saved file, so neither age nor Knative's twenty
// of each service would do.
const maxNonActiveRevisions = 10

// collect deletes c's oldest revisions that nothing needs.
func (r *configurations) collect(ctx context.Context, c *servingv1.Configuration, revisions []servingv1.Revision) error {
	for _, rev := range surplus(c, revisions) {
		if err := r.client.Delete(ctx, rev, client.Preconditions{UID: &rev.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("collecting revision %s: %w", rev.Name, err)
		}
	}
	return nil
}

// surplus are c's revisions beyond the newest maxNonActiveRevisions that no
// route names, oldest first.
func surplus(c *servingv1.Configuration, revisions []servingv1.Revision) []*servingv1.Revision {
	var idle []*servingv1.Revision
	for i := range revisions {
		rev := &revisions[i]
		_, kept := rev.Annotations[servingv1.NoGCAnnotation]
		if kept || !rev.DeletionTimestamp.IsZero() ||
			rev.Labels[servingv1.RoutingStateLabel] != desired.RoutingReserve ||
			rev.Name == c.Status.LatestCreatedRevisionName || rev.Name == c.Status.LatestReadyRevisionName {
			continue
		}
		idle = append(idle, rev)
	}
	slices.SortFunc(idle, func(a, b *servingv1.Revision) int { return cmp.Compare(generation(a), generation(b)) })
	return idle[:max(0, len(idle)-maxNonActiveRevisions)]
}

// revisionsOf lists the revisions of a Configuration. They are the cache's
// own: to be read, not changed.
func revisionsOf(ctx context.Context, c client.Reader, config *servingv1.Configuration) ([]servingv1.Revision, error) {
	var list servingv1.RevisionList
	err := c.List(ctx, &list, client.InNamespace(config.Namespace),
		client.MatchingLabels{servingv1.ConfigurationLabel: config.Name}, glance)
	if err != nil {
		return nil, fmt.Errorf("listing the revisions of %s: %w", config.Name, err)
	}
	return slices.DeleteFunc(list.Items, func(rev servingv1.Revision) bool {
		return types.UID(rev.Labels[servingv1.ConfigurationUIDLabel]) != config.UID
	}), nil
}

// generation is the Configuration's generation that rev was made at.
func generation(rev *servingv1.Revision) int64 {
	n, err := strconv.ParseInt(rev.Labels[servingv1.ConfigurationGenerationLabel], 10, 64)
	if err != nil {
		return 0 // a label somebody wrote by hand
	}
	return n
}
