package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kind-in-a-box/devbox/watcher"
)

// prebuilt is the target of an image that is there already: in an OCI layout,
// in an archive of `docker save`, or in a registry, where the user's own
// docker login counts.
func prebuilt(ctx context.Context, ref string) ([]watcher.Target, error) {
	image, called, err := find(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("--image %s: %w", ref, err)
	}
	if _, err := image.Digest(); err != nil {
		return nil, fmt.Errorf("--image %s: %w", ref, err)
	}
	return []watcher.Target{watcher.Prebuilt(called, image)}, nil
}

// find returns an image, and the last part of its name.
func find(ctx context.Context, ref string) (image v1.Image, called string, err error) {
	info, err := os.Stat(ref)
	if err != nil && isPath(ref) {
		return nil, "", err
	}
	if err == nil {
		called = strings.TrimSuffix(filepath.Base(ref), ".tar")
		if info.IsDir() {
			image, err = only(ref)
		} else {
			image, err = tarball.ImageFromPath(ref, nil)
		}
		return image, called, err
	}
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, "", fmt.Errorf("there is no such file, and no image can have that name: %w", err)
	}
	image, err = remote.Image(parsed, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platformOfPods))
	return image, filepath.Base(parsed.Context().RepositoryStr()), err
}

// isPath says whether no image in a registry is meant: no registry's name begins
// with a dot or a slash, and what ends as an archive does is one.
func isPath(ref string) bool {
	return strings.HasPrefix(ref, ".") || filepath.IsAbs(ref) || strings.HasSuffix(ref, ".tar")
}

// platformOfPods is what runs in a box on this machine.
var platformOfPods = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// only is the one image of an OCI layout.
func only(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("it is no OCI layout: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, errors.New("it is an OCI layout of several images: name one of its own, or an image in a registry")
	}
	return index.Image(manifest.Manifests[0].Digest)
}
