package desired

import (
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Istio's words on who gets a sidecar: a namespace's label, and a pod's, which
// wins. The annotation of the pod's label's name is its older form.
const (
	injectionLabel = "istio-injection"
	revisionLabel  = "istio.io/rev"
	injectLabel    = "sidecar.istio.io/inject"
)

// TemplatesAnnotation of a pod says which of istiod's templates make its
// sidecar; QuickTemplate is the one of charts/istio for pods that start while
// a request waits.
const (
	TemplatesAnnotation = "inject.istio.io/templates"
	QuickTemplate       = "devbox"
)

// TokenSecret is the Secret from which the sidecars of a service account's
// pods have their token; the template names it too.
func TokenSecret(account string) string { return "istio-token." + account }

// Injected is whether istiod's webhook gives pods of rev a sidecar, in a
// namespace with these labels.
func Injected(namespace map[string]string, rev *servingv1.Revision) bool {
	pod := rev.Labels[injectLabel]
	if pod == "" {
		pod = rev.Annotations[injectLabel]
	}
	switch {
	case namespace[injectionLabel] == "disabled":
		return false
	case namespace[injectionLabel] == "enabled" || namespace[revisionLabel] != "":
		return pod != "false"
	default:
		return rev.Labels[injectLabel] == "true" // the webhook is not asked for the annotation's sake
	}
}
