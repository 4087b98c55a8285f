package controller

import (
	"context"
	"math"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	// startsPerCore is how many pods of a revision may be starting at a time, for
	// each core of the nodes. A start is the node's work more than the program's:
	// with many at a time all of them come late, and what serves meanwhile slows
	// down, which looks like load, for which more pods are asked for.
	startsPerCore = 2
	// startTime is for how long a pod that does not answer counts as one that
	// starts: one whose program takes its time is no work for the node.
	startTime = 10 * time.Second
)

// room is how many pods of a revision may be made now, beside those that are
// alive, and when that may be more if none of them begins to answer.
func (f *fleet) room(ctx context.Context, alive []*corev1.Pod, now time.Time) (n int, again time.Duration, err error) {
	cores, err := f.cores(ctx)
	if cores == 0 || err != nil {
		return math.MaxInt, 0, err
	}
	n = startsPerCore * cores
	for _, pod := range alive {
		left := madeAt(pod).Add(startTime).Sub(now)
		if left <= 0 || f.answers.of(pod) {
			continue
		}
		n--
		again = soonest(again, left)
	}
	return max(n, 0), again, nil
}

// cores are those of all nodes that take pods, 0 where none says so.
func (f *fleet) cores(ctx context.Context) (int, error) {
	nodes, err := f.nodes(ctx)
	if err != nil {
		return 0, err
	}
	cores := 0
	for i := range nodes {
		cores += int(nodes[i].Status.Capacity.Cpu().Value())
	}
	return cores, nil
}
