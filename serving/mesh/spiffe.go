package mesh

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ID is a workload's name in the mesh: a service account of a trust domain.
type ID struct{ TrustDomain, Namespace, Account string }

// String is the ID as SPIFFE writes it.
func (id ID) String() string {
	return "spiffe://" + id.TrustDomain + "/ns/" + id.Namespace + "/sa/" + id.Account
}

// ParseID reads a SPIFFE name of the form that Istio gives to workloads.
func ParseID(u *url.URL) (ID, error) {
	part := strings.Split(u.Path, "/")
	if u.Scheme != "spiffe" || u.Host == "" || len(part) != 5 || part[0] != "" || part[1] != "ns" || part[3] != "sa" || part[2] == "" || part[4] == "" {
		return ID{}, fmt.Errorf("%q is not of the form spiffe://DOMAIN/ns/NAMESPACE/sa/ACCOUNT", u)
	}
	return ID{u.Host, part[2], part[4]}, nil
}

// idOf is the name in a workload's certificate: SPIFFE has exactly one.
func idOf(leaf *x509.Certificate) (ID, error) {
	if len(leaf.URIs) != 1 {
		return ID{}, fmt.Errorf("a workload's certificate has one name, not %d", len(leaf.URIs))
	}
	return ParseID(leaf.URIs[0])
}

var errNoCertificate = errors.New("the other side has shown no certificate")

// verify is who is on the other side of a session: one whose certificate
// leads to roots, is for this use, and names an account of the trust domain.
func verify(session tls.ConnectionState, roots *x509.CertPool, domain string, use x509.ExtKeyUsage) (ID, error) {
	if len(session.PeerCertificates) == 0 {
		return ID{}, errNoCertificate
	}
	leaf, between := session.PeerCertificates[0], x509.NewCertPool()
	for _, c := range session.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
		return ID{}, err
	}
	id, err := idOf(leaf)
	if err == nil && id.TrustDomain != domain {
		err = fmt.Errorf("%s is not of the trust domain %s", id, domain)
	}
	return id, err
}
