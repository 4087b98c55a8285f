package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// RefusedError says that a registry does not take images.
type RefusedError struct {
	Repository string
	Reason     string // in words
	Hint       string // what to do about it
	Plain      bool   // it speaks plain HTTP
	Err        error
}

func (e *RefusedError) Error() string { return e.Reason }
func (e *RefusedError) Unwrap() error { return e.Err }

// Check says whether the registry would take an image of a repository, by
// beginning to send one and giving up. It is nil where it would, and a
// *RefusedError where it would not.
func (r Registry) Check(ctx context.Context, repository string) error {
	repo, err := name.NewRepository(r.Prefix+"/"+repository, r.names()...)
	if err != nil {
		return &RefusedError{Repository: r.Prefix, Reason: fmt.Sprintf("%q is no registry: %v", r.Prefix, err), Hint: "write it as HOST/PATH, such as ghcr.io/alice or localhost:5001", Err: err}
	}
	if err := remote.CheckPushPermission(repo.Tag("latest"), r.Keychain, giving(ctx, remote.DefaultTransport)); err != nil {
		return refusal(repo, err)
	}
	return nil
}

// giving has requests end with ctx: the library's check takes none.
func giving(ctx context.Context, by http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) { return by.RoundTrip(r.WithContext(ctx)) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Refusal is what a registry has said, in words, to whoever pushed to a host and a
// path on it: a *RefusedError, or err where there is no more to say.
func Refusal(registry string, err error) error {
	repo, wrong := name.NewRepository(registry)
	if wrong != nil {
		return err
	}
	return refusal(repo, err)
}

// refusal is err in words, where a registry has said it.
func refusal(repo name.Repository, err error) error {
	host := repo.RegistryStr()
	said := &RefusedError{Repository: repo.Name(), Err: err}
	if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		said.Plain = true
		said.Reason = host + " speaks plain HTTP, and images are sent and taken by HTTPS alone but on this machine and in private networks"
		said.Hint = "give the registry a certificate, or name it by localhost, a name in .local, or an address of a private network"
		return said
	}
	refused, ok := errors.AsType[*transport.Error](err)
	if !ok {
		return err
	}
	switch refused.StatusCode {
	case http.StatusUnauthorized:
		said.Reason = fmt.Sprintf("%s does not know you (401): it wants credentials, or others than yours", host)
		said.Hint = "`docker login " + host + "`, or a credential helper in ~/.docker/config.json"
	case http.StatusForbidden:
		said.Reason = fmt.Sprintf("%s knows you, and does not let you push to %s (403)", host, repo.RepositoryStr())
		said.Hint = "ask for the right to push, or give another --registry"
	case http.StatusNotFound:
		said.Reason = fmt.Sprintf("%s has no repository %s, and does not make one by itself (404)", host, repo.RepositoryStr())
		said.Hint = "make it there, or give another --registry"
	default:
		return err
	}
	return said
}
