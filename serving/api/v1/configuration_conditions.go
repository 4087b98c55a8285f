package v1

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Reasons of a Configuration's conditions.
const (
	ReasonRevisionFailed  = "RevisionFailed"
	ReasonRevisionDeleted = "RevisionDeleted"
)

// A Configuration has Ready and nothing under it.
var configurationConditions = Dependents{}

// IsReady says whether the latest created revision is the latest ready one.
func (c *Configuration) IsReady() bool { return c.Status.ReadyAt(c.Generation) }

// IsFailed says whether the latest created revision has failed.
func (c *Configuration) IsFailed() bool { return c.Status.FailedAt(c.Generation) }

// InitializeConditions makes every condition exist.
func (s *ConfigurationStatus) InitializeConditions() {
	configurationConditions.Initialize(&s.Status)
}

// SetLatestCreatedRevisionName names the newest revision. The Configuration
// is not ready until that very revision is, which is expected to say first that
// it deploys: said here already, that is no write of its own.
func (s *ConfigurationStatus) SetLatestCreatedRevisionName(name string) {
	if s.LatestCreatedRevisionName != name {
		s.mark(corev1.ConditionUnknown, ReasonDeploying, "")
	}
	s.LatestCreatedRevisionName = name
}

// MarkLatestCreatedReady says that the latest created revision is ready, and
// so the latest ready one.
func (s *ConfigurationStatus) MarkLatestCreatedReady() {
	s.LatestReadyRevisionName = s.LatestCreatedRevisionName
	s.mark(corev1.ConditionTrue, "", "")
}

// MarkLatestCreatedPending says that the latest created revision is neither
// ready nor failed, in its own words.
func (s *ConfigurationStatus) MarkLatestCreatedPending(reason, message string) {
	s.mark(corev1.ConditionUnknown, reason, message)
}

// MarkLatestCreatedFailed says that the latest created revision has failed.
func (s *ConfigurationStatus) MarkLatestCreatedFailed(name, message string) {
	s.mark(corev1.ConditionFalse, ReasonRevisionFailed,
		fmt.Sprintf("Revision %q failed with message: %s.", name, message))
}

// MarkRevisionCreationFailed says that no revision could be made.
func (s *ConfigurationStatus) MarkRevisionCreationFailed(message string) {
	s.mark(corev1.ConditionFalse, ReasonRevisionFailed,
		fmt.Sprintf("Revision creation failed with message: %s.", message))
}

// MarkLatestReadyDeleted says that the latest ready revision is gone.
func (s *ConfigurationStatus) MarkLatestReadyDeleted() {
	s.mark(corev1.ConditionFalse, ReasonRevisionDeleted,
		fmt.Sprintf("Revision %q was deleted.", s.LatestReadyRevisionName))
}

func (s *ConfigurationStatus) mark(status corev1.ConditionStatus, reason, message string) {
	configurationConditions.Mark(&s.Status, ConditionReady, status, reason, message)
}
