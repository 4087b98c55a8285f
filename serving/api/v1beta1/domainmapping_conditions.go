package v1beta1

import (
	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Conditions of a DomainMapping.
const (
	DomainClaimed          servingv1.ConditionType = "DomainClaimed"
	ReferenceResolved      servingv1.ConditionType = "ReferenceResolved"
	IngressReady                                   = servingv1.RouteIngressReady
	CertificateProvisioned                         = servingv1.RouteCertificateProvisioned
)

// Reasons of a DomainMapping's conditions.
const (
	ReasonDomainAlreadyClaimed = "DomainAlreadyClaimed"
	ReasonResolveFailed        = "ResolveFailed"
)

var conditions = servingv1.Dependents{DomainClaimed, ReferenceResolved, IngressReady, CertificateProvisioned}

// IsReady says whether the host answers as the spec wants.
func (d *DomainMapping) IsReady() bool { return d.Status.ReadyAt(d.Generation) }

// HasHost says whether the host is this DomainMapping's, and not another's.
func (d *DomainMapping) HasHost() bool {
	return d.DeletionTimestamp.IsZero() && d.Status.IsTrue(DomainClaimed)
}

// InitializeConditions makes every condition exist.
func (s *DomainMappingStatus) InitializeConditions() { conditions.Initialize(&s.Status) }

// MarkClaimed says that the host is this DomainMapping's.
func (s *DomainMappingStatus) MarkClaimed() {
	s.mark(DomainClaimed, corev1.ConditionTrue, "", "")
}

// MarkClaimedBy says who has the host instead.
func (s *DomainMappingStatus) MarkClaimedBy(other string) {
	s.mark(DomainClaimed, corev1.ConditionFalse, ReasonDomainAlreadyClaimed, "The domain name is already in use by "+other+".")
}

// MarkReferenceResolved says that what the reference names is there.
func (s *DomainMappingStatus) MarkReferenceResolved() {
	s.mark(ReferenceResolved, corev1.ConditionTrue, "", "")
}

// MarkReferenceNotResolved says why it is not.
func (s *DomainMappingStatus) MarkReferenceNotResolved(why string) {
	s.mark(ReferenceResolved, corev1.ConditionFalse, ReasonResolveFailed, why)
}

// MarkIngressReady says that the gateway answers on the host.
func (s *DomainMappingStatus) MarkIngressReady() { s.mark(IngressReady, corev1.ConditionTrue, "", "") }

// MarkIngressNotReady says what the gateway is waiting for.
func (s *DomainMappingStatus) MarkIngressNotReady(reason, message string) {
	s.mark(IngressReady, corev1.ConditionUnknown, reason, message)
}

// MarkIngressFailed says why the gateway cannot serve the host.
func (s *DomainMappingStatus) MarkIngressFailed(reason, message string) {
	s.mark(IngressReady, corev1.ConditionFalse, reason, message)
}

// MarkIngressNotConfigured says that the gateway does not answer yet.
func (s *DomainMappingStatus) MarkIngressNotConfigured() {
	s.MarkIngressNotReady(servingv1.ReasonIngressNotConfigured, "Ingress has not yet been reconciled.")
}

// MarkTLSNotEnabled says that no certificate is wanted.
func (s *DomainMappingStatus) MarkTLSNotEnabled() {
	s.mark(CertificateProvisioned, corev1.ConditionTrue, servingv1.ReasonTLSNotEnabled, "external-domain-tls is not enabled")
}

func (s *DomainMappingStatus) mark(t servingv1.ConditionType, status corev1.ConditionStatus, reason, message string) {
	conditions.Mark(&s.Status, t, status, reason, message)
}
