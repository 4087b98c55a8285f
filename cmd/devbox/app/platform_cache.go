package app

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/platform"
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

// save keeps the images, and lets go of the oldest.
func (c platformCache) save(images map[string]v1.Image) error {
	if err := platform.Save(string(c), images); err != nil {
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
