package controller

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// collect deletes c's oldest revisions that nothing needs.
func (r *configurations) collect(ctx context.Context, c *servingv1.Configuration, revisions []servingv1.Revision) error {
	for _, rev := range surplus(c, revisions, r.force.collection(), time.Now()) {
		if err := r.client.Delete(ctx, rev, client.Preconditions{UID: &rev.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("collecting revision %s: %w", rev.Name, err)
		}
	}
	return nil
}

// surplus are c's revisions that config-gc lets go, of those that no route
// names, oldest first: those beyond the most that are kept, and stale ones
// beyond the least.
func surplus(c *servingv1.Configuration, revisions []servingv1.Revision, gc config.Collection, now time.Time) []*servingv1.Revision {
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
	var gone []*servingv1.Revision
	for i, rev := range idle {
		left := len(idle) - i
		if gc.Most >= 0 && left > gc.Most || left > gc.Least && stale(rev, gc, now) {
			gone = append(gone, rev)
		}
	}
	return gone
}

// stale says whether rev is older than config-gc keeps, by each age that counts.
func stale(rev *servingv1.Revision, gc config.Collection, now time.Time) bool {
	active, err := time.Parse(time.RFC3339, rev.Annotations[servingv1.RoutingStateModified])
	if err != nil {
		active = rev.CreationTimestamp.Time
	}
	if gc.SinceCreated < 0 && gc.SinceActive < 0 {
		return false
	}
	return (gc.SinceCreated < 0 || now.Sub(rev.CreationTimestamp.Time) > gc.SinceCreated) &&
		(gc.SinceActive < 0 || now.Sub(active) > gc.SinceActive)
}

// revisionsOf lists the revisions of a Configuration. They are the cache's
// own: to be read, not changed.
func revisionsOf(ctx context.Context, c client.Reader, of *servingv1.Configuration) ([]servingv1.Revision, error) {
	var list servingv1.RevisionList
	err := c.List(ctx, &list, client.InNamespace(of.Namespace),
		client.MatchingLabels{servingv1.ConfigurationLabel: of.Name}, glance)
	if err != nil {
		return nil, fmt.Errorf("listing the revisions of %s: %w", of.Name, err)
	}
	return slices.DeleteFunc(list.Items, func(rev servingv1.Revision) bool {
		return types.UID(rev.Labels[servingv1.ConfigurationUIDLabel]) != of.UID
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
