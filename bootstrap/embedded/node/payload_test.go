package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/test/imagetest"
)

// credentials are those of a node and, here, of its client too.
func credentials(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IsCA:        true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	pair := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{
		Certificates: []tls.Certificate{pair}, RootCAs: pool, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
	}
}

// appProgram is what the containers run, and queueProgram what runs beside them
// in a pod of the serving stack.
var (
	appProgram   = sync.OnceValues(func() ([]byte, error) { return imagetest.Program("./testdata/app") })
	queueProgram = sync.OnceValues(func() ([]byte, error) { return imagetest.Program("../../../cmd/queue") })
)

// push puts an image of one program, called /app, into a registry.
func push(t testing.TB, program func() ([]byte, error), registry string, config v1.Config) string {
	t.Helper()
	content, err := program()
	if err != nil {
		t.Fatal(err)
	}
	config.Entrypoint = []string{"/app"}
	return imagetest.Push(t, registry+"/app:1", config, imagetest.Layer(t, imagetest.File("app", 0o755, string(content))))
}

// pushApp puts testdata/app into a registry.
func pushApp(t testing.TB) string {
	t.Helper()
	return push(t, appProgram, imagetest.Registry(t), v1.Config{Cmd: []string{"serve"}, Env: []string{"FROM=image"}})
}
