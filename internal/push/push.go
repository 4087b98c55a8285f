// Package push writes images to a box's registry: those of services, and those
// of the box's own parts.
package push

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Image writes an image to the plain-HTTP registry under repository and
// returns the reference, by digest, under which it is there. Layers that the
// registry has are not sent again; it is asked each time, because it forgets
// images that are old.
func Image(ctx context.Context, registry, repository string, img v1.Image) (string, error) {
	digest, err := img.Digest()
	if err != nil {
		return "", fmt.Errorf("hashing the image of %s: %w", repository, err)
	}
	ref, err := name.NewDigest(registry+"/"+repository+"@"+digest.String(), name.Insecure)
	if err != nil {
		return "", fmt.Errorf("naming the image of %s: %w", repository, err)
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", fmt.Errorf("pushing to %s: %w", ref.Context(), err)
	}
	return ref.Name(), nil
}
