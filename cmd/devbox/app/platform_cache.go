package app

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"

	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// platformCache keeps the images of the serving stack made from one state of
// the source, since linking them takes seconds of every `devbox up`. It is an
// OCI layout with one image for each folder of cmd.
type platformCache string

// platformsKept is for those who go back and forth between versions, and
// between engines, which need different folders.
const platformsKept = 6

// cacheOf returns where the images made of folders of our own source are kept.
func cacheOf(ctx context.Context, builder *build.Own, folders []string) (platformCache, error) {
	root, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	var programs []string
	for _, folder := range folders {
		programs = append(programs, compile.Module+"/cmd/"+folder)
	}
	key, err := builder.Key(ctx, programs...)
	if err != nil {
		return "", err
	}
	return platformCache(filepath.Join(root, "devbox", "platform", key)), nil
}

// load returns the images of folders, and false where not all are kept whole.
func (c platformCache) load(folders []string) (map[string]v1.Image, bool) {
	index, err := layout.ImageIndexFromPath(string(c))
	if err != nil {
		return nil, false
	}
	images := map[string]v1.Image{}
	for _, folder := range folders {
		img := kept(index, folder)
		if img == nil {
			return nil, false
		}
		images[folder] = img
	}
	return images, true
}

// folder is the annotation of an image that names its folder of cmd.
const folder = "dev.devbox.folder"

func kept(index v1.ImageIndex, name string) v1.Image {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil
	}
	is := match.Annotation(folder, name)
	for _, d := range manifest.Manifests {
		if is(d) {
			img, err := index.Image(d.Digest)
			if err == nil {
				return img
			}
		}
	}
	return nil
}

// save keeps the images, whole or not at all, and lets go of the oldest.
func (c platformCache) save(images map[string]v1.Image) error {
	if err := os.MkdirAll(filepath.Dir(string(c)), 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(string(c)), ".new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	path, err := layout.Write(tmp, empty.Index)
	if err != nil {
		return err
	}
	for name, img := range images {
		if err := path.AppendImage(img, layout.WithAnnotations(map[string]string{folder: name})); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, string(c)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return c.prune()
}

func (c platformCache) prune() error {
	entries, err := os.ReadDir(filepath.Dir(string(c)))
	if err != nil {
		return err
	}
	var all []os.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b os.FileInfo) int { return cmp.Compare(b.ModTime().UnixNano(), a.ModTime().UnixNano()) })
	for _, old := range all[min(platformsKept, len(all)):] {
		if err := os.RemoveAll(filepath.Join(filepath.Dir(string(c)), old.Name())); err != nil {
			return err
		}
	}
	return nil
}
