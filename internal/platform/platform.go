// Package platform keeps images of the serving stack in an OCI layout, each by
// the name of its program: in the user's cache, where they were built from
// source, and beside an installed devbox, which has no source.
package platform

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
)

// program is the annotation of an image that names its program, a folder of
// cmd.
const program = "dev.devbox.folder"

// Load returns the images of programs in the layout at dir.
func Load(dir string, programs ...string) (map[string]v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the serving stack's images: %w", err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, fmt.Errorf("reading the serving stack's images in %s: %w", dir, err)
	}
	images := map[string]v1.Image{}
	for _, name := range programs {
		i := slices.IndexFunc(manifest.Manifests, match.Annotation(program, name))
		if i < 0 {
			return nil, fmt.Errorf("the images in %s have none of %s", dir, name)
		}
		if images[name], err = index.Image(manifest.Manifests[i].Digest); err != nil {
			return nil, fmt.Errorf("reading the image of %s in %s: %w", name, dir, err)
		}
	}
	return images, nil
}

// Save makes a layout at dir of the images of programs, whole or not at all.
// One that is there already stays.
func Save(dir string, images map[string]v1.Image) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	path, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		if err := path.AppendImage(images[name], layout.WithAnnotations(map[string]string{program: name})); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}
