// Package pullsecrets finds the credentials that a pod's images are asked for
// with: those of the Secrets that the pod's imagePullSecrets name, then of
// those that its ServiceAccount's do. Which of a Secret's entries are for an
// image is kubelet's own code to say.
//
// They are read anew for each [Read], so that what is made or changed later
// counts for the next try.
package pullsecrets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	typedv1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

// Client reads what credentials are in.
type Client interface {
	typedv1.SecretsGetter
	typedv1.ServiceAccountsGetter
}

// Pod is what a pod says of its credentials.
type Pod struct {
	Namespace string
	Account   string // the ServiceAccount's name; empty: default
	Secrets   []corev1.LocalObjectReference
}

// Credentials are a pod's.
type Credentials struct {
	secrets []secret // the pod's own first
	flaws   []string // what was named and is not there, or is not what it should be
}

type secret struct {
	name string
	ring credentialprovider.DockerKeyring
}

// Read returns the credentials of a pod. What it names and is not there gives
// none: the registry may want none. [Credentials.Try] tells of it where that is
// not so.
func Read(ctx context.Context, from Client, pod Pod) (*Credentials, error) {
	c := &Credentials{}
	named, err := c.named(ctx, from, pod)
	if err != nil {
		return nil, err
	}
	for _, name := range named {
		if err := c.add(ctx, from, pod.Namespace, name); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// named are the names of the pod's Secrets, each once.
func (c *Credentials) named(ctx context.Context, from Client, pod Pod) ([]string, error) {
	account := cmp.Or(pod.Account, "default")
	refs := pod.Secrets
	switch sa, err := from.ServiceAccounts(pod.Namespace).Get(ctx, account, metav1.GetOptions{}); {
	case apierrors.IsNotFound(err):
		c.flaws = append(c.flaws, fmt.Sprintf("there is no ServiceAccount %q in namespace %s", account, pod.Namespace))
	case err != nil:
		return nil, fmt.Errorf("reading ServiceAccount %s/%s for its imagePullSecrets: %w", pod.Namespace, account, err)
	default:
		refs = slices.Concat(refs, sa.ImagePullSecrets)
	}
	var names []string
	for _, ref := range refs {
		if ref.Name != "" && !slices.Contains(names, ref.Name) {
			names = append(names, ref.Name)
		}
	}
	return names, nil
}

// add reads one Secret.
func (c *Credentials) add(ctx context.Context, from Client, namespace, name string) error {
	s, err := from.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		c.flaws = append(c.flaws, fmt.Sprintf("there is no Secret %q in namespace %s", name, namespace))
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading Secret %s/%s of imagePullSecrets: %w", namespace, name, err)
	}
	ring, err := secrets.MakeDockerKeyring([]corev1.Secret{*s}, nil)
	switch {
	case err != nil:
		// The parser's words may quote the Secret.
		c.flaws = append(c.flaws, fmt.Sprintf("Secret %q of namespace %s is no valid docker configuration", name, namespace))
	case ring == nil:
		c.flaws = append(c.flaws, fmt.Sprintf("Secret %q of namespace %s has no %s of type %s",
			name, namespace, corev1.DockerConfigJsonKey, corev1.SecretTypeDockerConfigJson))
	default:
		c.secrets = append(c.secrets, secret{name, ring})
	}
	return nil
}

// Try calls get with the credentials that are for the image, one after the
// other for as long as the registry refuses them, or with none where there are
// none. The error of a registry that refuses them all says why.
func (c *Credentials) Try(image string, get func(authn.Keychain) error) error {
	ref, err := name.ParseReference(image, name.WeakValidation)
	if err != nil {
		return fmt.Errorf("parsing image %q: %w", image, err)
	}
	var tried []string
	for _, s := range c.secrets {
		found, _ := s.ring.Lookup(repository(ref))
		for _, f := range found {
			err = get(always{authn.FromConfig(authn.AuthConfig{Username: f.Username, Password: f.Password})})
			if !refused(err) {
				return err
			}
			tried = append(tried, s.name)
		}
	}
	if len(tried) == 0 {
		err = get(always{authn.Anonymous})
	}
	if !refused(err) {
		return err
	}
	return &RefusedError{Registry: ref.Context().RegistryStr(), Tried: slices.Compact(tried), Flaws: c.flaws, err: err}
}

// repository names an image's repository as kubelet does, which calls Docker
// Hub docker.io.
func repository(ref name.Reference) string {
	if ref.Context().RegistryStr() == name.DefaultRegistry {
		return "docker.io/" + ref.Context().RepositoryStr()
	}
	return ref.Context().Name()
}

// always is a keychain for one image's registry.
type always struct{ authn.Authenticator }

// Resolve implements authn.Keychain.
func (a always) Resolve(authn.Resource) (authn.Authenticator, error) { return a.Authenticator, nil }

// refused is whether a registry wants other credentials than it was given.
func refused(err error) bool {
	status := statusOf(err)
	return status == http.StatusUnauthorized || status == http.StatusForbidden
}

func statusOf(err error) int {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}

// RefusedError is the error of a registry that gives an image to nobody with
// these credentials.
type RefusedError struct {
	Registry string
	Tried    []string // the Secrets whose credentials it did not take
	Flaws    []string // what was named and gives no credentials
	err      error    // the registry's last
}

// Error implements error. It says what to look at first: the registry's own
// words name URLs that a user never wrote.
func (e *RefusedError) Error() string {
	status := statusOf(e.err)
	answer := fmt.Sprintf("registry %s answers %d %s", e.Registry, status, http.StatusText(status))
	var why string
	switch {
	case len(e.Tried) > 0:
		why = "to the credentials of Secret " + strings.Join(e.Tried, ", ")
	case len(e.Flaws) == 0:
		why = "to a request without credentials: no Secret in imagePullSecrets, of the pod or of its ServiceAccount, has any for it"
	default:
		why = "to a request without credentials"
	}
	if len(e.Flaws) > 0 {
		why += "; " + strings.Join(e.Flaws, "; ")
	}
	return fmt.Sprintf("%s %s (%s)", answer, why, e.err)
}

// Unwrap returns the registry's error.
func (e *RefusedError) Unwrap() error { return e.err }
