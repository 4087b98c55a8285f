package controller

import (
	"fmt"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// scale is what the autoscaler wants of a revision.
type scale struct {
	want    int32
	reason  string
	initial int32 // pods that must answer before the revision is ready
}

// report writes what was seen of a revision's pods into its status:
//
//	pods wanted, seen                | Resources   | Container | Active
//	---------------------------------+-------------+-----------+--------------
//	n, first: the initial scale does | True        | True      | True
//	n, later: any answers            | True        | True      | True
//	n, first: fewer than that        | Deploying   | True      | True
//	n, none answers                  | Deploying*  | Unknown*  | Queued
//	n, none answers, one has crashed | as it was   | ExitCode  | Queued
//	n, none answers, one is stuck    | its reason  | as it was | Queued
//	n, none answers, a sidecar       | its reason  | as it was | Queued
//	   refuses the activator         |             |           |
//	n, none answers, for too long    | Progress... | as it was | Queued
//	n, one lacks the sidecar it was  | its reason  | as it was | as it was
//	   to have                       |             |           |
//	0, initial scale is 0            | True        | True      | NoTraffic
//	0                                | as it was   | as it was | NoTraffic
//
// * as it was, where the revision has been ready before: it stays ready while
// it goes to zero pods and comes back.
//
// It returns when to look again, if time alone can change the outcome.
func report(s *servingv1.RevisionStatus, seen observation, to scale, deadline time.Duration, now time.Time) time.Duration {
	s.ActualReplicas, s.DesiredReplicas = new(seen.answering), new(to.want)
	explain(s, to.reason)
	switch {
	case seen.sidecars.missing != nil && to.want > 0:
		s.MarkResourcesAvailableFalse(seen.sidecars.missing.reason, seen.sidecars.missing.message)
		return 0
	case seen.answering > 0:
		s.MarkActiveTrue()
		s.MarkContainerHealthyTrue()
		if !s.IsTrue(servingv1.RevisionResourcesAvailable) && seen.answering < to.initial {
			s.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, fmt.Sprintf("%d of %d pods answer.", seen.answering, to.initial))
			return 0
		}
		s.MarkResourcesAvailableTrue()
		return 0
	case to.want == 0:
		s.MarkActiveFalse(servingv1.ReasonNoTraffic, "The target is not receiving traffic.")
		if to.initial == 0 {
			s.MarkContainerHealthyTrue()
			s.MarkResourcesAvailableTrue()
		}
		return 0
	}
	s.MarkActiveUnknown(servingv1.ReasonQueued, "Requests to the target are being buffered as resources are provisioned.")
	switch late := lateIn(seen, deadline, now); {
	case seen.crash != nil:
		s.MarkContainerHealthyFalse(seen.crash.reason, seen.crash.message)
		return 0
	case seen.stuck != nil:
		s.MarkResourcesAvailableFalse(seen.stuck.reason, seen.stuck.message)
		return 0
	case seen.blocked != nil:
		s.MarkResourcesAvailableFalse(seen.blocked.reason, seen.blocked.message)
		return 0
	case late <= 0:
		s.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, fmt.Sprintf("No pod has answered within %s.", deadline))
		return 0
	default:
		if !s.IsTrue(servingv1.ConditionReady) {
			s.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "")
			s.MarkContainerHealthyUnknown(servingv1.ReasonDeploying, "")
		}
		return late
	}
}

// explain says why the autoscaler wants what it wants.
func explain(s *servingv1.RevisionStatus, reason string) {
	switch {
	case reason == "":
		delete(s.Annotations, servingv1.ScaleReasonAnnotation)
	case s.Annotations == nil:
		s.Annotations = map[string]string{servingv1.ScaleReasonAnnotation: reason}
	default:
		s.Annotations[servingv1.ScaleReasonAnnotation] = reason
	}
}

// lateIn is how long the oldest pod still has to answer.
func lateIn(seen observation, deadline time.Duration, now time.Time) time.Duration {
	if seen.oldest.IsZero() {
		return deadline
	}
	return seen.oldest.Add(deadline).Sub(now)
}

// progressDeadline is how long rev's pods have to answer: its own annotation,
// or the box's default.
func progressDeadline(rev *servingv1.Revision, byDefault time.Duration) time.Duration {
	if d, err := time.ParseDuration(rev.Annotations[servingv1.ProgressDeadlineAnnotation]); err == nil && d > 0 {
		return d
	}
	return byDefault
}
