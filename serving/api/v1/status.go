package v1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Status is the part every kind's status shares.
type Status struct {
	// ObservedGeneration is the generation the status speaks of.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// +listType=map
	// +listMapKey=type
	Conditions  []Condition       `json:"conditions,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Condition is one thing that is true, false or not yet known.
type Condition struct {
	Type   ConditionType          `json:"type"`
	Status corev1.ConditionStatus `json:"status"`
	// Severity is empty for a condition that Ready depends on, Info else.
	Severity           ConditionSeverity `json:"severity,omitempty"`
	LastTransitionTime metav1.Time       `json:"lastTransitionTime,omitzero"`
	Reason             string            `json:"reason,omitempty"`
	Message            string            `json:"message,omitempty"`
}

// ConditionType names a condition.
type ConditionType string

// ConditionSeverity says how much a condition matters.
type ConditionSeverity string
