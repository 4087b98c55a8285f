package watcher

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// inTurn are the targets in the order in which they get the slots for builds.
func (l *loop) inTurn(ctx context.Context) []*target {
	waiting := 0
	for _, t := range l.targets {
		if t.pending != nil && t.pending.build {
			waiting++
		}
	}
	if waiting <= l.slots-l.building {
		return l.targets
	}
	return inFront(l.targets, func(t *target) bool { return l.called(ctx, t) })
}

// called says whether somebody has called a target not long ago: it has pods,
// and is not at zero. Of several that an edit is for, he waits for this one.
func (l *loop) called(ctx context.Context, t *target) bool {
	return t.follow != nil && l.deployer.HasPods(ctx, client.ObjectKey{Namespace: t.Namespace, Name: t.Name})
}

// inFront are all, those first of which something is so.
func inFront[T any](all []T, is func(T) bool) []T {
	var front, back []T
	for _, one := range all {
		if is(one) {
			front = append(front, one)
		} else {
			back = append(back, one)
		}
	}
	return slices.Concat(front, back)
}
