package mesh

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	security "istio.io/api/security/v1alpha1"
)

// lifetime is what is asked for; Istio's own proxies ask for the same. Istiod
// may give less.
const lifetime = 24 * time.Hour

// issue makes a key and has the authority sign a certificate for it: of the
// account whose token is shown, whatever the request for it says.
func (c Config) issue(ctx context.Context, roots *x509.CertPool, token string, id ID) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	name, err := url.Parse(id.String())
	if err != nil {
		return nil, fmt.Errorf("naming the account: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{name}}, key)
	if err != nil {
		return nil, fmt.Errorf("making a request for a certificate: %w", err)
	}
	chain, err := c.sign(ctx, roots, token, pemOf("CERTIFICATE REQUEST", request))
	if err != nil {
		return nil, err
	}
	cert := &tls.Certificate{PrivateKey: key}
	for rest := []byte(strings.Join(chain, "\n")); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		cert.Certificate = append(cert.Certificate, block.Bytes)
	}
	return cert, nil
}

// sign asks for one certificate. It is rare, so the connection is not kept.
func (c Config) sign(ctx context.Context, roots *x509.CertPool, token, request string) ([]string, error) {
	host, _, err := net.SplitHostPort(c.Authority)
	if err != nil {
		return nil, fmt.Errorf("reading the authority's address: %w", err)
	}
	options := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
		RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12,
	}))}
	if c.Dial != nil {
		options = append(options, grpc.WithContextDialer(c.Dial))
	}
	conn, err := grpc.NewClient("passthrough:///"+c.Authority, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing to ask the authority: %w", err)
	}
	defer conn.Close()
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	signed, err := security.NewIstioCertificateServiceClient(conn).CreateCertificate(ctx, &security.IstioCertificateRequest{
		Csr: request, ValidityDuration: int64(lifetime.Seconds()),
	})
	if err != nil {
		return nil, fmt.Errorf("asking %s for a certificate: %w", c.Authority, err)
	}
	return signed.CertChain, nil
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}
