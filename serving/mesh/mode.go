package mesh

import "fmt"

// ConfigName is the ConfigMap that says how the activator takes requests, and
// RootsName the one in which istiod publishes the mesh's root certificates in
// every namespace.
const (
	ConfigName = "config-mesh"
	RootsName  = "istio-ca-root-cert"

	modeKey  = "mtls"
	rootsKey = "root-cert.pem"
)

// GatewayAnnotation of config-mesh is the controller's word on what comes
// from the ingress gateway: TLS while it is GatewayTLS, else requests in the
// clear. The activator refuses the clear only when nothing is lost by that.
const (
	GatewayAnnotation = "devbox.dev/gateway"
	GatewayTLS        = "mtls"
)

// TLSModeLabel is what Istio's injector labels a pod with whose sidecar takes
// mutual TLS, and Istio's own clients go by; TLSModeIstio is its value.
const (
	TLSModeLabel = "security.istio.io/tlsMode"
	TLSModeIstio = "istio"
)

// ProxyContainer is what Istio's injector calls the sidecar.
const ProxyContainer = "istio-proxy"

// Mode is how requests are to come to the activator.
type Mode string

// The modes, by their values in the ConfigMap.
const (
	Off        Mode = "off"        // in the clear
	Permissive Mode = "permissive" // in the clear or within mutual TLS; the gateway uses TLS
	Strict     Mode = "strict"     // within mutual TLS alone
)

// ParseMode reads config-mesh. Its error names the key.
func ParseMode(data map[string]string) (Mode, error) {
	switch mode := Mode(data[modeKey]); mode {
	case "":
		return Off, nil
	case Off, Permissive, Strict:
		return mode, nil
	default:
		return Off, fmt.Errorf("%s: %q must be off, permissive or strict", modeKey, mode)
	}
}

// Roots are the root certificates in the ConfigMap RootsName, as PEM.
func Roots(data map[string]string) string { return data[rootsKey] }
