package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// credentials are the files by which a Server and its clients know each
// other. All are readable by their owner only.
type credentials struct {
	cert, key  string // of the Server; its certificate signs itself
	tokens     string // who has which token, in Kubernetes' format
	signingKey string // of service account tokens
	kubeconfig string
	kubelet    kubeletCredentials

	address string
	token   string
	ca      []byte
}

// loadCredentials makes the credentials in dir, or uses those of an earlier
// Server: a kubeconfig stays good as long as the port is the same.
func loadCredentials(dir, address string) (*credentials, error) {
	c := &credentials{
		cert:       filepath.Join(dir, "server.crt"),
		key:        filepath.Join(dir, "server.key"),
		tokens:     filepath.Join(dir, "tokens.csv"),
		signingKey: filepath.Join(dir, "service-accounts.key"),
		kubeconfig: filepath.Join(dir, "kubeconfig"),
		address:    address,
	}
	if err := c.loadToken(); err != nil {
		return nil, fmt.Errorf("making a token: %w", err)
	}
	var err error
	if c.ca, err = loadCertificate(c.cert, c.key, x509.ExtKeyUsageServerAuth); err != nil {
		return nil, fmt.Errorf("making a certificate: %w", err)
	}
	if c.kubelet, err = loadKubeletCredentials(dir); err != nil {
		return nil, err
	}
	if _, err := loadKey(c.signingKey); err != nil {
		return nil, fmt.Errorf("making a key for service accounts: %w", err)
	}
	if err := c.writeKubeconfig(); err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return c, nil
}

func (c *credentials) loadToken() error {
	line, err := os.ReadFile(c.tokens)
	if errors.Is(err, fs.ErrNotExist) {
		line = []byte(rand.Text() + ",admin,admin,system:masters\n")
		err = write(c.tokens, line)
	}
	c.token, _, _ = strings.Cut(string(line), ",")
	return err
}

// loadCertificate returns the certificate in certFile, a new one for keyFile's
// key when there is none: for loopback, signed by itself and good for ten
// years, which the box is not.
func loadCertificate(certFile, keyFile string, usage x509.ExtKeyUsage) ([]byte, error) {
	cert, err := os.ReadFile(certFile)
	if !errors.Is(err, fs.ErrNotExist) {
		return cert, err
	}
	key, err := loadKey(keyFile)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "devbox"},
		NotBefore:             now.Add(-time.Hour), // for a clock set back a little
		NotAfter:              now.AddDate(10, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{usage},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, write(certFile, cert)
}

// loadKey returns the key in file, a new one when there is none.
func loadKey(file string) (*ecdsa.PrivateKey, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKey(file)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", file)
	}
	return x509.ParseECPrivateKey(block.Bytes)
}

func makeKey(file string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, write(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}))
}

func (c *credentials) restConfig() *rest.Config {
	return &rest.Config{
		Host:            "https://" + c.address,
		BearerToken:     c.token,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca},
		// The server is this process, and it has its own limits.
		QPS: -1,
		// It would pack every event of a watch, for this machine to unpack.
		DisableCompression: true,
	}
}

func (c *credentials) writeKubeconfig() error {
	const name = "devbox"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + c.address, CertificateAuthorityData: c.ca}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, c.kubeconfig) // with mode 0600
}

// listen opens the Server's port on loopback.
func listen(port int) (net.Listener, error) {
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, fmt.Errorf("listening for the API server: %w", err)
	}
	return listener, nil
}
