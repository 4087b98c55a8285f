package controller

import (
	"cmp"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// observation is what a revision's pods amount to.
type observation struct {
	alive     []*corev1.Pod // neither ended nor ending; those to lose first in front
	ended     []*corev1.Pod // failed, evicted, refused by the node
	answering int32
	oldest    time.Time     // when the oldest of alive was made
	crash     *trouble      // a container of a pod that does not answer has ended
	stuck     *trouble      // a pod does not get as far as running
	blocked   *trouble      // the sidecar of a pod refuses the activator
	settled   time.Duration // until a pod that answers is believed; 0 where none is waited for
	sidecars  sidecars
	adopted   adoption
}

// outdated are pods in whose place others are to be made; those to lose first in
// front.
func (o *observation) outdated() []*corev1.Pod {
	return slices.Concat(o.sidecars.outdated, slices.DeleteFunc(slices.Clone(o.adopted.outdated), func(p *corev1.Pod) bool {
		return slices.Contains(o.sidecars.outdated, p)
	}))
}

// lose takes pods from those that are alive: they are going to be deleted.
func (o *observation) lose(pods []*corev1.Pod) {
	o.alive = slices.DeleteFunc(o.alive, func(p *corev1.Pod) bool { return slices.Contains(pods, p) })
}

// trouble is why a pod does not run, in the pod's own words.
type trouble struct{ reason, message string }

// settling is how long a container that had ended is to run before its pod's
// answers are believed: one that ends again and again answers in between.
const settling = 3 * time.Second

// observe sums up pods. Since says which of them take requests, and from when
// on: what they say is believed when they have for as long as proof.
func observe(pods []corev1.Pod, since func(*corev1.Pod) (time.Time, bool), proof time.Duration, now time.Time) observation {
	var o observation
	up := map[*corev1.Pod]bool{}
	for i := range pods {
		pod := &pods[i]
		switch {
		case !pod.DeletionTimestamp.IsZero():
			continue
		case pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded:
			o.ended = append(o.ended, pod)
			o.stuck = cmp.Or(o.stuck, podEnded(pod))
			continue
		}
		o.alive = append(o.alive, pod)
		if made := madeAt(pod); o.oldest.IsZero() || made.Before(o.oldest) {
			o.oldest = made
		}
		if answered, ok := since(pod); ok {
			wait, ended := unsettled(pod, now)
			if proof > 0 {
				wait = max(wait, answered.Add(proof).Sub(now))
			}
			if up[pod] = !ended && wait <= 0; up[pod] {
				o.answering++
				continue
			}
			o.settled = soonest(o.settled, max(wait, 0))
		}
		if late := sidecarLate(pod); late != nil {
			o.stuck = cmp.Or(o.stuck, late)
			continue
		}
		o.crash = cmp.Or(o.crash, podCrash(pod))
		o.stuck = cmp.Or(o.stuck, podStuck(pod))
	}
	// Of two pods the one that does not answer is the lesser loss, and else
	// the younger, which has less in its caches.
	slices.SortStableFunc(o.alive, func(a, b *corev1.Pod) int {
		if up[a] != up[b] {
			if up[b] {
				return -1
			}
			return 1
		}
		return madeAt(b).Compare(madeAt(a))
	})
	return o
}

// unsettled says that one of pod's containers has ended and does not run yet,
// or runs for less than settling, of which wait is left. Whatever answers in
// such a pod's place, its end is the newer word.
func unsettled(pod *corev1.Pod, now time.Time) (wait time.Duration, ended bool) {
	for _, s := range pod.Status.ContainerStatuses {
		if s.State.Terminated == nil && s.LastTerminationState.Terminated == nil {
			continue
		}
		if s.State.Running == nil {
			return 0, true
		}
		wait = max(wait, s.State.Running.StartedAt.Add(settling).Sub(now))
	}
	return wait, false
}

func podEnded(pod *corev1.Pod) *trouble {
	return &trouble{cmp.Or(pod.Status.Reason, string(pod.Status.Phase)), pod.Status.Message}
}

// podCrash is the last end of one of the pod's containers, if one has ended.
func podCrash(pod *corev1.Pod) *trouble {
	for _, s := range pod.Status.InitContainerStatuses {
		if t := cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated); t != nil && t.ExitCode != 0 {
			return ended(t)
		}
	}
	for _, s := range pod.Status.ContainerStatuses {
		if t := cmp.Or(s.State.Terminated, s.LastTerminationState.Terminated); t != nil {
			return ended(t)
		}
	}
	return nil
}

func ended(t *corev1.ContainerStateTerminated) *trouble {
	words := servingv1.ExplainPort(cmp.Or(strings.TrimSpace(t.Message), t.Reason))
	return &trouble{servingv1.ReasonExitCode(t.ExitCode), servingv1.MessageContainerFailed(words)}
}

// onTheWay are the reasons for which a container may wait that are no
// trouble, or are told better by podCrash.
var onTheWay = map[string]bool{"": true, "ContainerCreating": true, "PodInitializing": true, "CrashLoopBackOff": true}

// podStuck is why the pod cannot be placed, or one of its containers cannot
// be started.
func podStuck(pod *corev1.Pod) *trouble {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return &trouble{c.Reason, c.Message}
		}
	}
	for _, s := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if w := s.State.Waiting; w != nil && !onTheWay[w.Reason] {
			return &trouble{w.Reason, w.Message}
		}
	}
	return nil
}
