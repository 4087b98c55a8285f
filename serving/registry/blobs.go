package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
)

// grace is how long a blob that no manifest needs stays: its manifest may
// be on its way.
const grace = time.Minute

// blobs are files named by their content. A blob belongs to no repository:
// the box has one user, and a layer is stored once.
type blobs struct {
	dir     string
	uploads string // on the same file system, so that a finished upload is renamed into place
}

// Both are how go-containerregistry's registry reads blobs.
var (
	_ ggcr.BlobHandler     = (*blobs)(nil)
	_ ggcr.BlobStatHandler = (*blobs)(nil)
)

func newBlobs(root string) (*blobs, error) {
	b := &blobs{dir: filepath.Join(root, "blobs", "sha256"), uploads: filepath.Join(root, "uploads")}
	if err := os.RemoveAll(b.uploads); err != nil { // nobody can go on with them
		return nil, err
	}
	for _, dir := range []string{b.dir, b.uploads} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *blobs) path(h v1.Hash) string { return filepath.Join(b.dir, h.Hex) }

// Stat is a blob's size. Who asks for one is about to name it in a manifest,
// so it counts as new.
func (b *blobs) Stat(_ context.Context, _ string, h v1.Hash) (int64, error) {
	now := time.Now()
	if err := os.Chtimes(b.path(h), now, now); err != nil {
		return 0, notFound(err)
	}
	return b.size(h)
}

func (b *blobs) size(h v1.Hash) (int64, error) {
	info, err := os.Stat(b.path(h))
	if err != nil {
		return 0, notFound(err)
	}
	return info.Size(), nil
}

// Get opens a blob.
func (b *blobs) Get(_ context.Context, _ string, h v1.Hash) (io.ReadCloser, error) {
	f, err := os.Open(b.path(h))
	if err != nil {
		return nil, notFound(err)
	}
	return f, nil
}

// add makes a blob of a file in uploads, which must have that content.
func (b *blobs) add(file string, h v1.Hash) error {
	return os.Rename(file, b.path(h))
}

// sweep removes the blobs that are not needed and not new, and says how many
// bytes that freed.
func (b *blobs) sweep(needed map[v1.Hash]bool, now time.Time) (freed int64, err error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || needed[v1.Hash{Algorithm: "sha256", Hex: e.Name()}] || now.Sub(info.ModTime()) < grace {
			continue
		}
		if err := os.Remove(filepath.Join(b.dir, e.Name())); err != nil {
			return freed, fmt.Errorf("removing a blob: %w", err)
		}
		freed += info.Size()
	}
	return freed, nil
}

func notFound(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return ggcr.ErrNotFound
	}
	return err
}
