package activator

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// silence is how long a pod may be silent that has streams open: one that is
// gone without a word is found out.
const silence = 30 * time.Second

type podKey struct{}

// toPod is for what is sent to p: its transport asks session.
func toPod(ctx context.Context, p *pod) context.Context {
	if p.account == "" {
		return ctx
	}
	return context.WithValue(ctx, podKey{}, p)
}

// transports are how pods are spoken to, in HTTP/1.1 and in HTTP/2.
func (m *meshed) transports() (http1, h2c http.RoundTripper) {
	to := proxy.TransportConfig{Dial: dialTimeout, Idle: keepIdle, Session: m.session(mesh.ALPNHTTP1)}
	http1 = proxy.Once(proxy.NewTransport(to))
	to.H2C, to.Ping, to.Session = true, silence, m.session(mesh.ALPNHTTP2)
	return http1, proxy.Once(proxy.NewTransport(to))
}

// session is how the pod of ctx is spoken to: within TLS where it has a
// sidecar, as the account that it runs as and nobody else.
func (m *meshed) session(alpn string) func(context.Context) (*tls.Config, error) {
	return func(ctx context.Context) (*tls.Config, error) {
		p, ok := ctx.Value(podKey{}).(*pod)
		if !ok {
			return nil, nil
		}
		if m.identity == nil {
			return nil, mesh.ErrNone
		}
		return m.identity.Client(p.revision.key.Namespace, p.account, alpn)
	}
}

const (
	// envoyServer is what Istio's Envoy calls itself where it answers in the
	// place of the server behind it.
	envoyServer = "istio-envoy"
	// mostWords is more than it says then, in bytes.
	mostWords = 512
)

// unreached are Envoy's names for why the server behind it has seen nothing of
// a request: there was no connection to it.
var unreached = []string{"remote connection failure", "local connection failure", "connection timeout"}

// sidecarRefused says that resp is a sidecar's word that nobody listens behind
// it: without a sidecar, the connection would have been refused. A container
// that says the same has its own request again, as with proxy.Refused. What
// was read to find that out is put back.
func sidecarRefused(resp *http.Response) bool {
	if resp.Header.Get("Server") != envoyServer {
		return false
	}
	switch {
	case resp.Header.Get("Grpc-Status") == "14": // unavailable
		return saysUnreached(resp.Header.Get("Grpc-Message"))
	case resp.StatusCode != http.StatusServiceUnavailable || resp.ContentLength <= 0 || resp.ContentLength > mostWords:
		return false
	}
	said, err := io.ReadAll(resp.Body)
	rest := io.Reader(bytes.NewReader(said))
	if err != nil {
		rest = io.MultiReader(rest, failing{err})
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{rest, resp.Body}
	return saysUnreached(string(said))
}

// sidecarLost says that resp may be a sidecar's word that its connection to the
// server behind it has ended: what becomes of the request nobody knows, and the
// server has gone, perhaps.
func sidecarLost(resp *http.Response) bool {
	return resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Server") == envoyServer &&
		resp.ContentLength == int64(len(terminated))
}

// terminated is the whole of what a sidecar says then.
const terminated = "upstream connect error or disconnect/reset before headers. reset reason: connection termination"

// denied is the whole of what a sidecar says to whom a policy denies.
const denied = "RBAC: access denied"

// sidecarDenied says that resp looks like a sidecar's word that the activator
// may not, or may not ask this: its policy has changed since the pod was probed.
func sidecarDenied(resp *http.Response) bool {
	return resp.Header.Get("Server") == envoyServer &&
		(resp.StatusCode == http.StatusForbidden && resp.ContentLength == int64(len(denied)) || resp.Header.Get("Grpc-Message") == denied)
}

func saysUnreached(text string) bool {
	if !strings.HasPrefix(text, "upstream connect error") {
		return false
	}
	for _, reason := range unreached {
		if strings.Contains(text, reason) {
			return true
		}
	}
	return false
}

// failing is a reader of what could not be read.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }
