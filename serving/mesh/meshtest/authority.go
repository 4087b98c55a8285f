// Package meshtest is a mesh for tests: an authority that speaks istiod's
// protocol, and workloads with certificates of it.
package meshtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	security "istio.io/api/security/v1alpha1"
)

// Domain is the trust domain of the mesh.
const Domain = "cluster.local"

// Authority signs certificates. Its fields may be changed while nobody asks.
type Authority struct {
	security.UnimplementedIstioCertificateServiceServer

	// Accounts are the SPIFFE names that tokens stand for.
	Accounts map[string]string
	// Life is how long a certificate is valid.
	Life time.Duration

	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey

	mu     sync.Mutex
	signed int
	away   error
}

// New returns an authority that nobody can ask yet.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t, Life: time.Hour, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{Organization: []string{Domain}},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// Roots is the root certificate as PEM.
func (a *Authority) Roots() string { return pemOf(a.cert.Raw) }

// Listen serves at an address of this machine until the test ends.
func (a *Authority) Listen() string {
	a.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	a.Serve(l)
	return l.Addr().String()
}

// Serve serves until the test ends.
func (a *Authority) Serve(l net.Listener) {
	own := a.certificate(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"istiod.test"}}, 24*365*time.Hour)
	s := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(own)))
	security.RegisterIstioCertificateServiceServer(s, a)
	served := make(chan struct{})
	go func() { defer close(served); _ = s.Serve(l) }()
	a.t.Cleanup(func() { s.Stop(); <-served })
}

// Signed is how many certificates were asked for and given.
func (a *Authority) Signed() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.signed
}

// Fail makes the authority refuse with err; nil ends that.
func (a *Authority) Fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.away = err
}

// CreateCertificate implements istiod's service: the certificate is of the
// account whose token is shown.
func (a *Authority) CreateCertificate(ctx context.Context, in *security.IstioCertificateRequest) (*security.IstioCertificateResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.away != nil {
		return nil, status.Error(codes.Unavailable, a.away.Error())
	}
	shown, _ := metadata.FromIncomingContext(ctx)
	var name string
	for _, bearer := range shown.Get("authorization") {
		name = a.Accounts[bearer[len("Bearer "):]]
	}
	if name == "" {
		return nil, status.Error(codes.Unauthenticated, "the token is nobody's")
	}
	public, err := publicKey(in.GetCsr())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	der, err := a.sign(workload(name), public, a.Life)
	if err != nil {
		return nil, err
	}
	a.signed++
	return &security.IstioCertificateResponse{CertChain: []string{pemOf(der), a.Roots()}}, nil
}

// Workload is a certificate with that name.
func (a *Authority) Workload(name string) tls.Certificate {
	a.t.Helper()
	return *a.certificate(workload(name), a.Life)
}

// Server is how a sidecar of that name takes connections.
func (a *Authority) Server(name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Workload(name)}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: a.Pool()}
}

// Client is how a workload of that name speaks to another one, whoever that is.
func (a *Authority) Client(name string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.Workload(name)}, InsecureSkipVerify: true}
}

// Pool has the root certificate.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *Authority) certificate(template *x509.Certificate, life time.Duration) *tls.Certificate {
	a.t.Helper()
	key := newKey(a.t)
	der, err := a.sign(template, key.Public(), life)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *Authority) sign(template *x509.Certificate, public any, life time.Duration) ([]byte, error) {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Minute), time.Now().Add(life)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	return x509.CreateCertificate(rand.Reader, template, a.cert, public, a.key)
}

func workload(name string) *x509.Certificate {
	u, err := url.Parse(name)
	if err != nil {
		panic(err) // a test's own constant
	}
	return &x509.Certificate{URIs: []*url.URL{u}}
}

func publicKey(request string) (any, error) {
	block, _ := pem.Decode([]byte(request))
	if block == nil {
		return nil, errors.New("the request is not PEM")
	}
	parsed, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, err
	}
	return parsed.PublicKey, parsed.CheckSignature()
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
