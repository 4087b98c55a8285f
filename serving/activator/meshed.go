package activator

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

const (
	account       = "activator" // of the service accounts of its namespace
	tokenAudience = "istio-ca"  // istiod takes no other
	tokenSeconds  = 600         // the shortest that the API server gives
)

// meshed is the activator's part in the mesh.
type meshed struct {
	identity *mesh.Identity // nil where there is no mesh
	gate     *mesh.Gate
	tell     teller
	mode     mesh.Mode    // the last that was right
	told     stream.Takes // to the controller
}

func newMeshed(c Config, tell teller) (*meshed, error) {
	m := &meshed{tell: tell, mode: mesh.Off}
	if c.Authority == "" {
		m.gate = mesh.NewGate(nil)
		return m, nil
	}
	token, err := tokens(c.REST)
	if err != nil {
		return nil, err
	}
	m.identity = mesh.NewIdentity(mesh.Config{
		Authority: c.Authority, Namespace: servingv1.Namespace, Account: account, Token: token, Log: c.Log,
	})
	m.gate = mesh.NewGate(m.identity.Server())
	return m, nil
}

// tokens has the API server make tokens of the activator's account for
// istiod. A volume would bring them too, but a volume costs every start of a
// pod 300 ms.
func tokens(config *rest.Config) (func(context.Context) (string, error), error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, authenticationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("knowing the kinds of a token's request: %w", err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return func(ctx context.Context) (string, error) {
		of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: servingv1.Namespace, Name: account}}
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{tokenAudience}, ExpirationSeconds: new(int64(tokenSeconds)),
		}}
		if err := c.SubResource("token").Create(ctx, of, request); err != nil {
			return "", fmt.Errorf("making a token of %s/%s: %w", of.Namespace, of.Name, err)
		}
		return request.Status.Token, nil
	}, nil
}

// changed holds a token when there is news of the certificate.
func (m *meshed) changed() <-chan struct{} {
	if m.identity == nil {
		return nil
	}
	return m.identity.Changed()
}

// run keeps the certificate.
func (m *meshed) run(ctx context.Context) {
	if m.identity != nil {
		m.identity.Run(ctx)
	}
}

// apply does what config-mesh asks for, and says so. The certificate is there
// for the gateway's sake, and for pods that have a sidecar in any mode; where
// there is neither, none is asked for. What is in the clear is refused only
// when the controller has seen that the gateway uses TLS.
func (m *meshed) apply(configs []corev1.ConfigMap, sidecars bool) {
	if m.identity == nil {
		return
	}
	gateway, roots := false, ""
	for i := range configs {
		switch c := &configs[i]; c.Name {
		case mesh.ConfigName:
			if mode, err := mesh.ParseMode(c.Data); err == nil { // else the controller says what is wrong
				m.mode = mode
			}
			gateway = c.Annotations[mesh.GatewayAnnotation] == mesh.GatewayTLS
		case mesh.RootsName:
			roots = mesh.Roots(c.Data)
		}
	}
	within := m.mode != mesh.Off || gateway
	m.identity.Want(within || sidecars, roots)
	m.gate.Set(mesh.Policy{TLS: within && m.identity.Ready(), Clear: m.mode != mesh.Strict || !gateway})
	if takes := m.takes(); takes != m.told {
		m.told = takes
		m.tell.Send(stream.Message{Takes: &takes})
	}
}

// takes is what the controller is told of.
func (m *meshed) takes() stream.Takes {
	p := m.gate.Policy()
	return stream.Takes{Clear: p.Clear, TLS: p.TLS}
}

// snapshot is what the controller has to know when it listens anew.
func (m *meshed) snapshot() []stream.Message {
	if m.identity == nil {
		return nil
	}
	takes := m.takes()
	return []stream.Message{{Takes: &takes}}
}

// serves says whether what the gateway sends can be taken: where that is TLS,
// there has to be a certificate first.
func (m *meshed) serves() bool {
	p := m.gate.Policy()
	return p.Clear || p.TLS
}

// handler deals with what came in the clear, and with what is said about
// clients' certificates.
func (m *meshed) handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session := proxy.Session(r)
		if session == nil && !m.gate.Policy().Clear {
			// It was there before the mode became strict: this is its last.
			w.Header()["Connection"] = closing
		}
		m.introduce(r.Header, session)
		next.ServeHTTP(w, r)
	})
}

// istio is the namespace of Istio's own parts: the gateway's among them.
const istio = "istio-system"

// introduce says who the client is, as Envoy does it. What a request says of
// that itself is dropped, unless it comes from the gateway by its certificate:
// the gateway drops what comes from outside, and its word stands.
func (m *meshed) introduce(h http.Header, session *tls.ConnectionState) {
	peer := proxy.PeerName(session)
	own, err := m.id()
	if peer == "" || err != nil {
		delete(h, proxy.ClientCert)
		return
	}
	element := "By=" + own.String() + ";URI=" + peer
	if said := h[proxy.ClientCert]; said != nil && strings.HasPrefix(peer, mesh.ID{TrustDomain: own.TrustDomain, Namespace: istio}.String()) {
		element = strings.Join(said, ",") + "," + element
	}
	h[proxy.ClientCert] = []string{element}
}

func (m *meshed) id() (mesh.ID, error) {
	if m.identity == nil {
		return mesh.ID{}, mesh.ErrNone
	}
	return m.identity.ID()
}

// closing is a header's value, which nobody changes.
var closing = []string{"close"}

func (m *meshed) writeMetrics(w io.Writer) {
	proxy.Describe(w, "activator_mesh_refused_connections", "counter", "Connections that were refused because they were in the clear.")
	fmt.Fprintf(w, "activator_mesh_refused_connections %d\n", m.gate.Refused())
}
