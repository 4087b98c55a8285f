package v1

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Conditions of a Service.
const (
	ServiceConfigurationsReady ConditionType = "ConfigurationsReady"
	ServiceRoutesReady         ConditionType = "RoutesReady"
)

// Reasons of a Service's conditions.
const (
	ReasonOutOfDate          = "OutOfDate"
	ReasonTrafficNotMigrated = "TrafficNotMigrated"
)

var serviceConditions = Dependents{ServiceConfigurationsReady, ServiceRoutesReady}

// IsReady says whether the service, as it is now, answers.
func (s *Service) IsReady() bool { return s.Status.ReadyAt(s.Generation) }

// IsFailed says whether the service, as it is now, has failed.
func (s *Service) IsFailed() bool { return s.Status.FailedAt(s.Generation) }

// InitializeConditions makes every condition exist.
func (s *ServiceStatus) InitializeConditions() { serviceConditions.Initialize(&s.Status) }

// MarkConfigurationNotReconciled says that the Configuration's status speaks
// of an older generation.
func (s *ServiceStatus) MarkConfigurationNotReconciled() {
	serviceConditions.Mark(&s.Status, ServiceConfigurationsReady, corev1.ConditionUnknown, ReasonOutOfDate,
		"The Configuration is still working to reflect the latest desired specification.")
}

// MarkConfigurationNotOwned says that somebody else's Configuration is in
// the way.
func (s *ServiceStatus) MarkConfigurationNotOwned(name string) {
	serviceConditions.Mark(&s.Status, ServiceConfigurationsReady, corev1.ConditionFalse, ReasonNotOwned,
		fmt.Sprintf("There is an existing Configuration %q that we do not own.", name))
}

// MarkRouteNotReconciled says that the Route's status speaks of an older
// generation.
func (s *ServiceStatus) MarkRouteNotReconciled() {
	serviceConditions.Mark(&s.Status, ServiceRoutesReady, corev1.ConditionUnknown, ReasonOutOfDate,
		"The Route is still working to reflect the latest desired specification.")
}

// MarkRouteNotOwned says that somebody else's Route is in the way.
func (s *ServiceStatus) MarkRouteNotOwned(name string) {
	serviceConditions.Mark(&s.Status, ServiceRoutesReady, corev1.ConditionFalse, ReasonNotOwned,
		fmt.Sprintf("There is an existing Route %q that we do not own.", name))
}

// MarkRouteNotYetReady says that the Route is ready, though not yet with the
// latest ready revision.
func (s *ServiceStatus) MarkRouteNotYetReady() {
	serviceConditions.Mark(&s.Status, ServiceRoutesReady, corev1.ConditionUnknown, ReasonTrafficNotMigrated,
		"Traffic is not yet migrated to the latest revision.")
}

// PropagateConfigurationStatus mirrors what the Configuration says of itself.
func (s *ServiceStatus) PropagateConfigurationStatus(c *ConfigurationStatus) {
	s.ConfigurationStatusFields = c.ConfigurationStatusFields
	serviceConditions.propagate(&s.Status, ServiceConfigurationsReady, &c.Status)
}

// PropagateRouteStatus mirrors what the Route says of itself.
func (s *ServiceStatus) PropagateRouteStatus(r *RouteStatus) {
	r.RouteStatusFields.DeepCopyInto(&s.RouteStatusFields)
	delete(s.Annotations, HostsAnnotation)
	if hosts, ok := r.Annotations[HostsAnnotation]; ok {
		if s.Annotations == nil {
			s.Annotations = map[string]string{}
		}
		s.Annotations[HostsAnnotation] = hosts
	}
	serviceConditions.propagate(&s.Status, ServiceRoutesReady, &r.Status)
}
