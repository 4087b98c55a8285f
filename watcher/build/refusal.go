package build

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// RegistryError says why a registry does not take an image, and what to do.
type RegistryError struct {
	Registry string // a host and a path on it
	Reason   string
	Hint     string
	Err      error
}

func (e *RegistryError) Error() string { return fmt.Sprintf("pushing to %s: %s", e.Registry, e.Reason) }
func (e *RegistryError) Unwrap() error { return e.Err }

// plainHTTP is what net/http says of a server that does not speak TLS.
const plainHTTP = "server gave HTTP response to HTTPS client"

// refusal is what a registry's error means to a person.
func refusal(registry string, err error) error {
	host, _, _ := strings.Cut(registry, "/")
	e := &RegistryError{Registry: registry, Reason: err.Error(), Err: err}
	var unknown x509.UnknownAuthorityError
	var operation *net.OpError
	if answer, ok := errors.AsType[*transport.Error](err); ok {
		e.Reason = fmt.Sprintf("%s answers %d: %s", host, answer.StatusCode, answer)
		switch answer.StatusCode {
		case http.StatusUnauthorized:
			e.Reason = host + " wants a login, or does not take the one that is there (401)"
			e.Hint = "docker login " + host
		case http.StatusForbidden:
			e.Reason = host + " does not let this login push there (403)"
			e.Hint = "ask for the right to push to " + registry + ", or name another path with --registry"
		case http.StatusNotFound:
			e.Reason = host + " has no such repository (404)"
			e.Hint = "make it there first, or name another path with --registry"
		}
		return e
	}
	switch {
	case strings.Contains(err.Error(), plainHTTP):
		e.Reason = host + " speaks plain HTTP"
		e.Hint = "--insecure-registry pushes without TLS, where everybody on the way can read and change it"
	case errors.As(err, &unknown):
		e.Reason = "nobody here knows who signed the certificate of " + host
		e.Hint = "let this machine know the certificate's authority, or --insecure-registry"
	case errors.As(err, &operation):
		e.Reason = host + " is not to be reached: " + operation.Error()
	}
	return e
}
