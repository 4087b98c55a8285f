// Package push writes images to a registry: those of services, and those of a
// box's own parts.
//
//	box's own:    plain HTTP on 127.0.0.1, no questions
//	a cluster's:  HOST/PATH, with the user's own credentials
package push

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Registry is where images go.
type Registry struct {
	Prefix   string         // of repositories: a host, and a path where there is one
	Keychain authn.Keychain // nil for a box's own registry, which speaks plain HTTP and knows nobody
}

// Box is a box's own registry, as in localhost:5001.
func Box(host string) Registry { return Registry{Prefix: host} }

// User is a registry that is reached with the user's own credentials, as docker
// login and its helpers keep them.
func User(prefix string) Registry { return Registry{Prefix: prefix, Keychain: authn.DefaultKeychain} }

// names is how names are read.
func (r Registry) names() []name.Option {
	if r.Keychain == nil {
		return []name.Option{name.Insecure}
	}
	return nil
}

// Image writes an image to the registry under repository and returns the
// reference, by digest, under which it is there. Layers that the registry has
// are not sent again; it is asked each time, because it forgets images that are
// old. Where a registry of the user's refuses, the error is a *RefusedError.
func (r Registry) Image(ctx context.Context, repository string, img v1.Image) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("hashing the image of %s: %w", repository, err)
	}
	ref, err := name.NewDigest(r.Prefix+"/"+repository+"@"+digest.String(), r.names()...)
	if err != nil {
		return "", fmt.Errorf("naming the image of %s: %w", repository, err)
	}
	options := []remote.Option{remote.WithContext(ctx)}
	if r.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(r.Keychain))
	}
	if err := remote.Write(ref, img, options...); err != nil {
		return "", fmt.Errorf("pushing to %s: %w", ref.Context(), refusal(ref.Context(), err))
	}
	return ref.Name(), nil
}
