package v1

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Conditions of a Revision. Active is for information: a revision at zero
// pods is inactive and still ready.
const (
	RevisionResourcesAvailable ConditionType = "ResourcesAvailable"
	RevisionContainerHealthy   ConditionType = "ContainerHealthy"
	RevisionActive             ConditionType = "Active"
)

// Reasons of a Revision's conditions. A pod's own reasons (ImagePullBackOff,
// Unschedulable, FailedCreate and so on) are passed on as they are.
const (
	ReasonDeploying                = "Deploying"
	ReasonResolvingDigests         = "ResolvingDigests"
	ReasonContainerMissing         = "ContainerMissing"
	ReasonNotOwned                 = "NotOwned"
	ReasonProgressDeadlineExceeded = "ProgressDeadlineExceeded"
	ReasonNoTraffic                = "NoTraffic"
	ReasonQueued                   = "Queued"
	ReasonTimedOut                 = "TimedOut"
)

var revisionConditions = Dependents{RevisionContainerHealthy, RevisionResourcesAvailable}

// ReasonExitCode is the reason of a container that ended with a code.
func ReasonExitCode(code int32) string { return fmt.Sprintf("ExitCode%d", code) }

// MessageContainerFailed tells a container's own last words.
func MessageContainerFailed(words string) string {
	return "Container failed with: " + words
}

// MessageImageUnavailable tells why an image could not be fetched.
func MessageImageUnavailable(image, why string) string {
	return fmt.Sprintf("Unable to fetch image %q: %s", image, why)
}

// IsReady says whether the revision, as it is now, has become ready.
func (r *Revision) IsReady() bool { return r.Status.ReadyAt(r.Generation) }

// IsFailed says whether the revision, as it is now, has failed.
func (r *Revision) IsFailed() bool { return r.Status.FailedAt(r.Generation) }

// InitializeConditions makes every condition exist.
func (s *RevisionStatus) InitializeConditions() {
	revisionConditions.Initialize(&s.Status)
	if s.Condition(RevisionActive) == nil {
		s.markActive(corev1.ConditionUnknown, "", "")
	}
}

// MarkResourcesAvailableTrue says that the revision has what it runs on.
func (s *RevisionStatus) MarkResourcesAvailableTrue() {
	revisionConditions.Mark(&s.Status, RevisionResourcesAvailable, corev1.ConditionTrue, "", "")
}

// MarkResourcesAvailableUnknown says what is still awaited.
func (s *RevisionStatus) MarkResourcesAvailableUnknown(reason, message string) {
	revisionConditions.Mark(&s.Status, RevisionResourcesAvailable, corev1.ConditionUnknown, reason, message)
}

// MarkResourcesAvailableFalse says what could not be had.
func (s *RevisionStatus) MarkResourcesAvailableFalse(reason, message string) {
	revisionConditions.Mark(&s.Status, RevisionResourcesAvailable, corev1.ConditionFalse, reason, message)
}

// MarkContainerHealthyTrue says that a pod has answered.
func (s *RevisionStatus) MarkContainerHealthyTrue() {
	revisionConditions.Mark(&s.Status, RevisionContainerHealthy, corev1.ConditionTrue, "", "")
}

// MarkContainerHealthyUnknown says what is still awaited.
func (s *RevisionStatus) MarkContainerHealthyUnknown(reason, message string) {
	revisionConditions.Mark(&s.Status, RevisionContainerHealthy, corev1.ConditionUnknown, reason, message)
}

// MarkContainerHealthyFalse says why the container does not run.
func (s *RevisionStatus) MarkContainerHealthyFalse(reason, message string) {
	revisionConditions.Mark(&s.Status, RevisionContainerHealthy, corev1.ConditionFalse, reason, message)
}

// MarkActiveTrue says that the revision has the pods it wants.
func (s *RevisionStatus) MarkActiveTrue() { s.markActive(corev1.ConditionTrue, "", "") }

// MarkActiveUnknown says that pods are on their way.
func (s *RevisionStatus) MarkActiveUnknown(reason, message string) {
	s.markActive(corev1.ConditionUnknown, reason, message)
}

// MarkActiveFalse says why the revision has no pods.
func (s *RevisionStatus) MarkActiveFalse(reason, message string) {
	s.markActive(corev1.ConditionFalse, reason, message)
}

func (s *RevisionStatus) markActive(status corev1.ConditionStatus, reason, message string) {
	s.put(Condition{
		Type: RevisionActive, Status: status, Severity: SeverityInfo,
		Reason: reason, Message: message,
	})
}
