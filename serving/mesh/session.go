package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// Names by which a client of the mesh says what it is going to send, so that
// a sidecar reads it as HTTP: of the ones that Istio's sidecars listen for
// (mtlsHTTPALPNs in istiod's listener.go).
const (
	ALPNHTTP1 = "istio-http/1.1"
	ALPNHTTP2 = "istio-h2"
)

// sessions is how many servers are remembered, to be spoken to again without
// a whole handshake.
const sessions = 256

// Server is how connections are taken: the client has to be a workload of the
// mesh. The certificate is the one of the moment.
func (i *Identity) Server() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := i.get()
			if err != nil {
				return nil, err
			}
			return c.server, nil
		},
	}
}

// Client is how a workload of that namespace and account is spoken to, and
// nobody else.
func (i *Identity) Client(namespace, account, alpn string) (*tls.Config, error) {
	c, err := i.get()
	if err != nil {
		return nil, err
	}
	want := ID{c.id.TrustDomain, namespace, account}
	config := c.client.Clone()
	config.NextProtos = []string{alpn}
	config.VerifyConnection = func(session tls.ConnectionState) error {
		id, err := verify(session, c.roots, c.id.TrustDomain, x509.ExtKeyUsageServerAuth)
		if err != nil {
			return fmt.Errorf("the pod is not of the mesh: %w", err)
		}
		if id != want {
			return fmt.Errorf("the pod is %s, and not %s", id, want)
		}
		return nil
	}
	return config, nil
}

func (c *credential) serverConfig() *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{*c.cert},
		ClientAuth:   tls.RequireAnyClientCert, // of whom VerifyConnection makes sure
		// What is in a session says itself which HTTP it is: a name would be
		// one more thing on which the two could differ.
		NextProtos: nil,
		VerifyConnection: func(session tls.ConnectionState) error {
			_, err := verify(session, c.roots, c.id.TrustDomain, x509.ExtKeyUsageClientAuth)
			return err
		},
	}
}

func (c *credential) clientConfig() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Certificates:       []tls.Certificate{*c.cert},
		InsecureSkipVerify: true, // of a host's name: VerifyConnection goes by the workload's
		ClientSessionCache: tls.NewLRUClientSessionCache(sessions),
	}
}
