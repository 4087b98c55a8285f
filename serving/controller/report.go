package controller

import (
	"cmp"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

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
//	n, too few answer, for too long  | Progress... | as above  | as above
//	n, one lacks the sidecar it was  | its reason  | as it was | as it was
//	   to have                       |             |           |
//	0, initial scale is 0            | True        | True      | NoTraffic
//	0                                | as it was   | as it was | NoTraffic
//
//	0, and it was too late           | as it was   | as it was | TimedOut
//
// * as it was, where the revision has been ready before: it stays ready while
// it goes to zero pods and comes back.
//
// It returns when to look again, if time alone can change the outcome.
func report(s *servingv1.RevisionStatus, seen observation, to scale, deadline time.Duration, now time.Time) time.Duration {
	s.ActualReplicas, s.DesiredReplicas = new(seen.answering), new(to.want)
	annotate(&s.Annotations, servingv1.ScaleReasonAnnotation, to.reason) // why the autoscaler wants what it wants
	switch {
	case seen.sidecars.missing != nil && to.want > 0:
		s.MarkResourcesAvailableFalse(seen.sidecars.missing.reason, seen.sidecars.missing.message)
		return 0
	case seen.answering > 0:
		return reportAnswering(s, seen, to, deadline, now)
	case to.want == 0:
		reportNone(s, to)
		return 0
	}
	s.MarkActiveUnknown(servingv1.ReasonQueued, "Requests to the target are being buffered as resources are provisioned.")
	if seen.crash != nil {
		s.MarkContainerHealthyFalse(seen.crash.reason, seen.crash.message)
	}
	switch late := lateIn(s, seen, deadline, now); {
	case late <= 0:
		s.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, tooLate("No pod has answered", deadline))
		return 0
	case seen.crash != nil:
		return late
	case seen.stuck != nil:
		s.MarkResourcesAvailableFalse(seen.stuck.reason, seen.stuck.message)
		return late
	case seen.blocked != nil:
		s.MarkResourcesAvailableFalse(seen.blocked.reason, seen.blocked.message)
		return late
	default:
		if !s.IsTrue(servingv1.ConditionReady) {
			s.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, "")
			s.MarkContainerHealthyUnknown(servingv1.ReasonDeploying, "")
		}
		return late
	}
}

// reportAnswering is report where at least one pod answers.
func reportAnswering(s *servingv1.RevisionStatus, seen observation, to scale, deadline time.Duration, now time.Time) time.Duration {
	s.MarkActiveTrue()
	s.MarkContainerHealthyTrue()
	if s.IsTrue(servingv1.RevisionResourcesAvailable) || seen.answering >= to.initial {
		s.MarkResourcesAvailableTrue()
		return 0
	}
	so := fmt.Sprintf("%d of %d pods answer", seen.answering, to.initial)
	late := lateIn(s, seen, deadline, now)
	if late <= 0 {
		s.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, tooLate("Only "+so, deadline))
		return 0
	}
	if why := cmp.Or(seen.crash, seen.stuck); why != nil {
		so += ", another does not: " + why.message
	}
	s.MarkResourcesAvailableUnknown(servingv1.ReasonDeploying, so+".")
	return late
}

// reportNone is report where no pod is wanted.
func reportNone(s *servingv1.RevisionStatus, to scale) {
	c := s.Condition(servingv1.RevisionResourcesAvailable)
	if c != nil && c.Reason == servingv1.ReasonProgressDeadlineExceeded {
		s.MarkActiveFalse(servingv1.ReasonTimedOut, c.Message)
	} else {
		s.MarkActiveFalse(servingv1.ReasonNoTraffic, "The target is not receiving traffic.")
	}
	if to.initial == 0 {
		s.MarkContainerHealthyTrue()
		s.MarkResourcesAvailableTrue()
	}
}

// tooLate says what has not come in time, by whose word, and that waiting is
// of no more use.
func tooLate(what string, deadline time.Duration) string {
	return fmt.Sprintf("%s within %s (annotation %s), and no further try is made. To have one, delete the revision or change the service.",
		what, deadline, servingv1.ProgressDeadlineAnnotation)
}

// annotate writes an annotation of a status; an empty one is none.
func annotate(annotations *map[string]string, key, value string) {
	switch {
	case value == "":
		delete(*annotations, key)
	case *annotations == nil:
		*annotations = map[string]string{key: value}
	default:
		(*annotations)[key] = value
	}
}

// lateIn is how long the pods still have to answer. Their time begins when the
// first of them is made, or the last that answered is gone: a pod of yesterday
// that is silent for a moment is not a day late.
func lateIn(s *servingv1.RevisionStatus, seen observation, deadline time.Duration, now time.Time) time.Duration {
	if seen.oldest.IsZero() {
		return deadline
	}
	began := seen.oldest
	if c := s.Condition(servingv1.RevisionActive); c.Status == corev1.ConditionUnknown && c.LastTransitionTime.After(began) {
		began = c.LastTransitionTime.Time
	}
	return began.Add(deadline).Sub(now)
}

// progressDeadline is how long rev's pods have to answer: its own annotation,
// or the box's default.
func progressDeadline(rev *servingv1.Revision, byDefault time.Duration) time.Duration {
	if d, err := time.ParseDuration(rev.Annotations[servingv1.ProgressDeadlineAnnotation]); err == nil && d > 0 {
		return d
	}
	return byDefault
}
