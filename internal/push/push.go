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
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Registry is where images go.
type Registry struct {
	Prefix   string         // of repositories: a host, and a path where there is one
	Keychain authn.Keychain // nil for a box's own registry, which speaks plain HTTP and knows nobody
	Insecure bool           // plain HTTP, and certificates that nobody has signed, for whoever asks
}

// Box is a box's own registry, as in localhost:5001.
func Box(host string) Registry { return Registry{Prefix: host} }

// User is a registry that is reached with the user's own credentials, as docker
// login and its helpers keep them.
func User(prefix string) Registry { return Registry{Prefix: prefix, Keychain: authn.DefaultKeychain} }

// names is how names are read.
func (r Registry) names() []name.Option {
	if r.Keychain == nil || r.Insecure {
		return []name.Option{name.Insecure}
	}
	return nil
}

// Image writes an image to the registry under repository, or an index of those
// for several platforms, and returns the reference, by digest, under which it is
// there. Layers that the registry has are not sent again; it is asked each time,
// because it forgets images that are old. Where a registry of the user's
// refuses, or does not answer, the error is a *RefusedError.
func (r Registry) Image(ctx context.Context, repository string, platforms ...v1.Image) (string, error) {
	repo, err := name.NewRepository(r.Prefix+"/"+repository, r.names()...)
	if err != nil {
		return "", fmt.Errorf("naming the image of %s: %w", repository, err)
	}
	options := []remote.Option{remote.WithContext(ctx)}
	if r.Keychain != nil {
		options = append(options, remote.WithAuthFromKeychain(r.Keychain))
	}
	digest, err := write(repo, platforms, options)
	if err != nil && r.Keychain != nil && ctx.Err() == nil {
		err = refusal(repo, err)
	}
	if err != nil {
		return "", fmt.Errorf("pushing to %s: %w", repo, err)
	}
	return repo.Digest(digest.String()).Name(), nil
}

func write(repo name.Repository, platforms []v1.Image, options []remote.Option) (v1.Hash, error) {
	if len(platforms) == 1 {
		digest, err := platforms[0].Digest()
		if err != nil {
			return digest, fmt.Errorf("hashing it: %w", err)
		}
		return digest, remote.Write(repo.Digest(digest.String()), platforms[0], options...)
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range platforms {
		config, err := img.ConfigFile()
		if err != nil {
			return v1.Hash{}, fmt.Errorf("reading its platform: %w", err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: config.Platform()}})
	}
	digest, err := index.Digest()
	if err != nil {
		return digest, fmt.Errorf("hashing it: %w", err)
	}
	return digest, remote.WriteIndex(repo.Digest(digest.String()), index, options...)
}
