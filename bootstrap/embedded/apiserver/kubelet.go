package apiserver

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	kubeletclient "k8s.io/kubernetes/pkg/kubelet/client"
)

// kubeletCredentials are two certificates, each of which the other side knows
// and no third one:
//
//	kubectl logs --> API server --client cert--> node
//	                            <--server cert--
type kubeletCredentials struct {
	serverCert, serverKey string
	clientCert, clientKey string
	serving               *tls.Config // for the node
}

func loadKubeletCredentials(dir string) (k kubeletCredentials, err error) {
	k = kubeletCredentials{
		serverCert: filepath.Join(dir, "kubelet.crt"),
		serverKey:  filepath.Join(dir, "kubelet.key"),
		clientCert: filepath.Join(dir, "kubelet-client.crt"),
		clientKey:  filepath.Join(dir, "kubelet-client.key"),
	}
	if _, err := loadCertificate(k.serverCert, k.serverKey, x509.ExtKeyUsageServerAuth); err != nil {
		return k, fmt.Errorf("making a certificate for the node: %w", err)
	}
	client, err := loadCertificate(k.clientCert, k.clientKey, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return k, fmt.Errorf("making a certificate for asking the node: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(k.serverCert, k.serverKey)
	if err != nil {
		return k, fmt.Errorf("reading the node's certificate: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(client) {
		return k, fmt.Errorf("reading %s: %w", k.clientCert, errors.New("it holds no certificate"))
	}
	k.serving = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{pair},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	}
	return k, nil
}

// configure tells the API server how to ask the node for logs.
func (k kubeletCredentials) configure(c *kubeletclient.KubeletClientConfig) {
	c.TLSClientConfig.CertFile, c.TLSClientConfig.KeyFile = k.clientCert, k.clientKey
	c.TLSClientConfig.CAFile = k.serverCert
	// A node's host name is not a name that can be looked up here.
	c.PreferredAddressTypes = []string{string(corev1.NodeInternalIP)}
}

// KubeletTLS is what a node serves its endpoint on 127.0.0.1 with: a
// certificate that the Server knows it by, and the Server as its only client.
func (s *Server) KubeletTLS() *tls.Config { return s.kubelet.Clone() }
