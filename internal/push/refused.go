package push

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// RefusedError says that a registry does not take images, or does not answer.
type RefusedError struct {
	Repository string
	Reason     string // in words
	Hint       string // what to do about it
	Plain      bool   // it speaks plain HTTP
	Err        error
}

func (e *RefusedError) Error() string { return e.Reason }
func (e *RefusedError) Unwrap() error { return e.Err }

// patience is how long a registry may take to answer a question.
const patience = 10 * time.Second

// Check says whether the registry would take an image of a repository, by
// beginning to send one and giving up. It is nil where it would, and a
// *RefusedError where it would not, or does not answer in ten seconds.
func (r Registry) Check(ctx context.Context, repository string) error {
	repo, err := name.NewRepository(r.Prefix+"/"+repository, r.names()...)
	if strings.Contains(r.Prefix, "://") { // of which it would take https: for a host
		err = errors.New("an image's name has no scheme")
	}
	if err != nil {
		return &RefusedError{Repository: r.Prefix, Reason: fmt.Sprintf("%q is no registry: %v", r.Prefix, err), Hint: "write it as HOST/PATH, such as ghcr.io/alice or localhost:5001", Err: err}
	}
	if _, err := authn.Resolve(ctx, r.Keychain, repo); err != nil {
		return &RefusedError{
			Repository: repo.Name(), Reason: fmt.Sprintf("your credentials for %s cannot be read: %v", repo.RegistryStr(), err),
			Hint: "mend ~/.docker/config.json, or the credential helper that it names", Err: err,
		}
	}
	asking, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("no answer in %s", patience))
	defer cancel()
	err = remote.CheckPushPermission(repo.Tag("latest"), r.Keychain, giving(asking, r.transport()))
	if err == nil {
		return nil
	}
	if asking.Err() != nil {
		err = context.Cause(asking)
	} else if err = refusal(repo, err); is[*RefusedError](err) {
		return err
	}
	err = fmt.Errorf("asking registry %s whether you may push: %w", r.Prefix, err)
	if ctx.Err() != nil {
		return err
	}
	return &RefusedError{Repository: repo.Name(), Reason: err.Error(), Hint: "look whether its name is right, and it is in reach", Err: err}
}

// transport is how the registry is reached.
func (r Registry) transport() http.RoundTripper {
	known, ok := remote.DefaultTransport.(*http.Transport)
	if !r.Insecure || !ok {
		return remote.DefaultTransport
	}
	known = known.Clone()
	known.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} // as the user asks for
	return known
}

// giving has requests end with ctx: the library's check takes none.
func giving(ctx context.Context, by http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) { return by.RoundTrip(r.WithContext(ctx)) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Refusal is what a registry has said, in words, to whoever pushed to a host and a
// path on it: a *RefusedError, or err where there is no more to say, or it is one.
func Refusal(registry string, err error) error {
	repo, wrong := name.NewRepository(registry)
	if wrong != nil || is[*RefusedError](err) {
		return err
	}
	return refusal(repo, err)
}

// refusal is err in words: what the registry has said to it, or that it says
// nothing.
func refusal(repo name.Repository, err error) error {
	host := repo.RegistryStr()
	said := &RefusedError{Repository: repo.Name(), Err: err}
	refused, answered := errors.AsType[*transport.Error](err)
	failed, network := errors.AsType[*url.Error](err)
	// An address of a private network is asked by HTTPS, then by HTTP: an answer to
	// the second counts, but that of a server of HTTPS.
	switch {
	case answered && !is[*tls.CertificateVerificationError](err):
		said.answer(repo, refused)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		said.Plain = true
		said.Reason = host + " speaks plain HTTP, and images are sent and taken by HTTPS alone but on this machine and in private networks"
		said.Hint = "give the registry a certificate, or name it by localhost, a name in .local, or an address of a private network"
	case is[*tls.CertificateVerificationError](err):
		said.Reason = fmt.Sprintf("%s has a certificate that this machine does not trust: %v", host, failed.Err)
		said.Hint = "have this machine trust its authority, as by SSL_CERT_FILE, and the cluster's nodes too"
	case network:
		said.Reason = fmt.Sprintf("%s does not answer: %v", host, failed.Err)
		said.Hint = "look whether it runs, its name is right, and it is in reach from here"
	default:
		return err
	}
	return said
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// answer puts a registry's answer into words.
func (e *RefusedError) answer(repo name.Repository, refused *transport.Error) {
	host, code := repo.RegistryStr(), refused.StatusCode
	switch {
	case code == http.StatusUnauthorized:
		e.Reason = fmt.Sprintf("%s does not know you (401): it wants credentials, or others than yours", host)
		e.Hint = "`docker login " + host + "`, or a credential helper in ~/.docker/config.json"
	case code == http.StatusForbidden:
		e.Reason = fmt.Sprintf("%s knows you, and does not let you push to %s (403)", host, repo.RepositoryStr())
		e.Hint = "ask for the right to push, or give another --registry"
	case code == http.StatusNotFound && refused.Request != nil && refused.Request.URL.Path == "/v2/":
		e.Reason = fmt.Sprintf("%s is no container registry: it has no /v2/ (404)", host)
		e.Hint = "give the registry itself with --registry HOST/PATH, such as ghcr.io/alice"
	case code == http.StatusNotFound:
		e.Reason = fmt.Sprintf("%s has no repository %s, and does not make one by itself (404)", host, repo.RepositoryStr())
		e.Hint = "make it there, or give another --registry"
	case code == http.StatusTooManyRequests:
		e.Reason = host + " takes no more requests for now (429)"
		e.Hint = "wait a while; many registries take more from those who are logged in"
	case code >= http.StatusInternalServerError:
		e.Reason = fmt.Sprintf("%s fails (%d %s)", host, code, http.StatusText(code))
		e.Hint = "whoever runs the registry can mend that: try again later, or give another --registry"
	default:
		e.Reason = fmt.Sprintf("%s takes no image for %s (%d %s)", host, repo.RepositoryStr(), code, http.StatusText(code))
		e.Hint = "give a --registry that takes images"
	}
	var said []string
	for _, d := range refused.Errors {
		said = append(said, fmt.Sprintf("%s: %s", d.Code, d.Message))
	}
	if len(said) > 0 {
		e.Reason += "; it says " + strings.Join(said, ", ")
	}
}
