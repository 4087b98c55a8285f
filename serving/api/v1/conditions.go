package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConditionReady sums up every kind: it is true when all the conditions it
// depends on are.
const ConditionReady ConditionType = "Ready"

// Severities of a condition.
const (
	SeverityError ConditionSeverity = ""     // Ready depends on it
	SeverityInfo  ConditionSeverity = "Info" // worth knowing, no more
)

// Condition is the condition of a type, or nil.
func (s *Status) Condition(t ConditionType) *Condition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

// IsTrue says whether the condition of a type is there and true.
func (s *Status) IsTrue(t ConditionType) bool {
	c := s.Condition(t)
	return c != nil && c.Status == corev1.ConditionTrue
}

// IsFalse says whether the condition of a type is there and false.
func (s *Status) IsFalse(t ConditionType) bool {
	c := s.Condition(t)
	return c != nil && c.Status == corev1.ConditionFalse
}

// ReadyAt says whether an object of a generation is ready: what was observed
// of an older generation says nothing of this one.
func (s *Status) ReadyAt(generation int64) bool {
	return s.ObservedGeneration == generation && s.IsTrue(ConditionReady)
}

// FailedAt is ReadyAt's counterpart: Ready is false, and not merely unknown.
func (s *Status) FailedAt(generation int64) bool {
	return s.ObservedGeneration == generation && s.IsFalse(ConditionReady)
}

// put writes one condition. LastTransitionTime moves only when the status
// does, to the whole second, which is all that the wire keeps.
func (s *Status) put(c Condition) {
	old := s.Condition(c.Type)
	if old == nil {
		c.LastTransitionTime = metav1.Now().Rfc3339Copy()
		s.Conditions = append(s.Conditions, c)
		return
	}
	c.LastTransitionTime = old.LastTransitionTime
	if old.Status != c.Status {
		c.LastTransitionTime = metav1.Now().Rfc3339Copy()
	}
	*old = c
}

// Dependents are the conditions of one kind that Ready follows, the one to
// be reported first in front.
type Dependents []ConditionType

// Initialize makes every condition exist, unknown until something is known.
func (d Dependents) Initialize(s *Status) {
	for _, t := range append(Dependents{ConditionReady}, d...) {
		if s.Condition(t) == nil {
			s.put(Condition{Type: t, Status: corev1.ConditionUnknown})
		}
	}
}

// Mark writes a condition that Ready depends on, and then Ready.
func (d Dependents) Mark(s *Status, t ConditionType, status corev1.ConditionStatus, reason, message string) {
	d.Initialize(s)
	s.put(Condition{Type: t, Status: status, Reason: reason, Message: message})
	if t != ConditionReady {
		s.put(d.ready(s))
	}
}

// ready is Ready as its dependents have it: false if one is false, else
// unknown if one is unknown, in the words of the first such one.
func (d Dependents) ready(s *Status) Condition {
	for _, status := range []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionUnknown} {
		for _, t := range d {
			if c := s.Condition(t); c.Status == status {
				return Condition{Type: ConditionReady, Status: status, Reason: c.Reason, Message: c.Message}
			}
		}
	}
	return Condition{Type: ConditionReady, Status: corev1.ConditionTrue}
}

// propagate copies another object's Ready into a condition of this one.
func (d Dependents) propagate(s *Status, t ConditionType, from *Status) {
	c := from.Condition(ConditionReady)
	if c == nil {
		c = &Condition{Status: corev1.ConditionUnknown}
	}
	d.Mark(s, t, c.Status, c.Reason, c.Message)
}
