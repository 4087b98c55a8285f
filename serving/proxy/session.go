package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
)

// Sealed is a connection that may be within TLS.
type Sealed interface {
	// TLS is the session; nil in the clear.
	TLS() *tls.ConnectionState
}

type sealedKey struct{}

// withSealed has a connection's requests know it, where it may be within TLS.
func withSealed(ctx context.Context, c net.Conn) context.Context {
	if s, ok := c.(Sealed); ok {
		return context.WithValue(ctx, sealedKey{}, s)
	}
	return ctx
}

// Session is the TLS session in which r came; nil in the clear.
func Session(r *http.Request) *tls.ConnectionState {
	if s, ok := r.Context().Value(sealedKey{}).(Sealed); ok {
		return s.TLS()
	}
	return nil
}

// sessionOf is the TLS session of a connection to the next hop; nil in the
// clear.
func sessionOf(c net.Conn) *tls.ConnectionState {
	switch c := c.(type) {
	case *conn:
		return sessionOf(c.Conn)
	case *tls.Conn:
		state := c.ConnectionState()
		return &state
	}
	return nil
}

// seal makes the session that config asks for on a connection to the next
// hop. Where it fails, the connection is closed.
func seal(ctx context.Context, made net.Conn, config *tls.Config) (net.Conn, error) {
	session := tls.Client(made, config)
	if err := session.HandshakeContext(ctx); err != nil {
		made.Close()
		return nil, err
	}
	return session, nil
}

// Tunnel is a TLS session as a hop saw it, or as its sidecar told of it.
type Tunnel struct {
	Version string `json:"version,omitempty"` // as in TLS 1.3; "" where only a sidecar knows
	Cipher  string `json:"cipher,omitempty"`  // as in TLS_AES_128_GCM_SHA256; "" like it
	Peer    string `json:"peer,omitempty"`    // the other side's name in its certificate
}

// tunnel is what is told of a session; nil where there is none.
func tunnel(session *tls.ConnectionState) *Tunnel {
	if session == nil {
		return nil
	}
	return &Tunnel{Version: tls.VersionName(session.Version), Cipher: tls.CipherSuiteName(session.CipherSuite), Peer: PeerName(session)}
}

// inbound is the session in which r came: its connection's, or the one that a
// sidecar has ended and tells of.
func inbound(r *http.Request) *Tunnel {
	if t := tunnel(Session(r)); t != nil {
		return t
	}
	said := r.Header[ClientCert]
	if len(said) == 0 {
		return nil
	}
	elements := strings.Split(said[len(said)-1], ",")
	for field := range strings.SplitSeq(elements[len(elements)-1], ";") {
		if name, ok := strings.CutPrefix(field, "URI="); ok {
			return &Tunnel{Peer: name}
		}
	}
	return nil
}

// PeerName is the other side's name in its certificate, a URI; "" where it has
// none.
func PeerName(session *tls.ConnectionState) string {
	if session == nil || len(session.PeerCertificates) == 0 || len(session.PeerCertificates[0].URIs) == 0 {
		return ""
	}
	return session.PeerCertificates[0].URIs[0].String()
}
