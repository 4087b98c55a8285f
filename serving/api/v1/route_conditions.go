package v1

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Conditions of a Route.
const (
	RouteAllTrafficAssigned     ConditionType = "AllTrafficAssigned"
	RouteIngressReady           ConditionType = "IngressReady"
	RouteCertificateProvisioned ConditionType = "CertificateProvisioned"
)

// Reasons of a Route's conditions.
const (
	ReasonRevisionMissing      = "RevisionMissing"
	ReasonConfigurationMissing = "ConfigurationMissing"
	ReasonIngressNotConfigured = "IngressNotConfigured"
	ReasonRolloutInProgress    = "RolloutInProgress"
	ReasonTLSNotEnabled        = "TLSNotEnabled"
)

var routeConditions = Dependents{RouteAllTrafficAssigned, RouteIngressReady, RouteCertificateProvisioned}

// IsReady says whether every host of the route answers as its spec wants.
func (r *Route) IsReady() bool { return r.Status.ReadyAt(r.Generation) }

// IsFailed says whether the route, as it is now, cannot be had.
func (r *Route) IsFailed() bool { return r.Status.FailedAt(r.Generation) }

// InitializeConditions makes every condition exist.
func (s *RouteStatus) InitializeConditions() { routeConditions.Initialize(&s.Status) }

// MarkTrafficAssigned says that every target has its revision.
func (s *RouteStatus) MarkTrafficAssigned() {
	routeConditions.Mark(&s.Status, RouteAllTrafficAssigned, corev1.ConditionTrue, "", "")
}

// MarkConfigurationNotReady says that a target waits for a first revision.
func (s *RouteStatus) MarkConfigurationNotReady(name string) {
	s.markTraffic(corev1.ConditionUnknown, ReasonRevisionMissing,
		fmt.Sprintf("Configuration %q is waiting for a Revision to become ready.", name))
}

// MarkConfigurationFailed says that a target has no revision to offer.
func (s *RouteStatus) MarkConfigurationFailed(name string) {
	s.markTraffic(corev1.ConditionFalse, ReasonRevisionMissing,
		fmt.Sprintf("Configuration %q does not have any ready Revision.", name))
}

// MarkRevisionNotReady says that a target's revision is still starting.
func (s *RouteStatus) MarkRevisionNotReady(name string) {
	s.markTraffic(corev1.ConditionUnknown, ReasonRevisionMissing,
		fmt.Sprintf("Revision %q is not yet ready.", name))
}

// MarkRevisionFailed says that a target's revision has failed.
func (s *RouteStatus) MarkRevisionFailed(name string) {
	s.markTraffic(corev1.ConditionFalse, ReasonRevisionMissing,
		fmt.Sprintf("Revision %q failed to become ready.", name))
}

// MarkMissingTrafficTarget says that a target, of kind Configuration or
// Revision, does not exist.
func (s *RouteStatus) MarkMissingTrafficTarget(kind, name string) {
	s.markTraffic(corev1.ConditionFalse, kind+"Missing",
		fmt.Sprintf("%s %q referenced in traffic not found.", kind, name))
}

// MarkIngressReady says that the gateway answers on every host.
func (s *RouteStatus) MarkIngressReady() { s.markIngress(corev1.ConditionTrue, "", "") }

// MarkIngressNotConfigured says that the gateway does not answer yet.
func (s *RouteStatus) MarkIngressNotConfigured() {
	s.markIngress(corev1.ConditionUnknown, ReasonIngressNotConfigured, "Ingress has not yet been reconciled.")
}

// MarkIngressRolloutInProgress says that the gateway answers, and that older
// revisions do too.
func (s *RouteStatus) MarkIngressRolloutInProgress() {
	s.markIngress(corev1.ConditionUnknown, ReasonRolloutInProgress, "A gradual rollout of the latest revision(s) is in progress.")
}

// MarkIngressNotReady says what the gateway is waiting for.
func (s *RouteStatus) MarkIngressNotReady(reason, message string) {
	s.markIngress(corev1.ConditionUnknown, reason, message)
}

// MarkIngressFailed says why the gateway cannot serve the hosts.
func (s *RouteStatus) MarkIngressFailed(reason, message string) {
	s.markIngress(corev1.ConditionFalse, reason, message)
}

// MarkServiceNotOwned says that something else of the placeholder Service's
// name is in the way.
func (s *RouteStatus) MarkServiceNotOwned(name string) {
	s.markIngress(corev1.ConditionFalse, ReasonNotOwned,
		fmt.Sprintf("There is an existing placeholder Service %q that we do not own.", name))
}

// MarkTLSNotEnabled says that no certificate is wanted.
func (s *RouteStatus) MarkTLSNotEnabled() {
	routeConditions.Mark(&s.Status, RouteCertificateProvisioned, corev1.ConditionTrue,
		ReasonTLSNotEnabled, "external-domain-tls is not enabled")
}

func (s *RouteStatus) markTraffic(status corev1.ConditionStatus, reason, message string) {
	routeConditions.Mark(&s.Status, RouteAllTrafficAssigned, status, reason, message)
}

func (s *RouteStatus) markIngress(status corev1.ConditionStatus, reason, message string) {
	routeConditions.Mark(&s.Status, RouteIngressReady, status, reason, message)
}
