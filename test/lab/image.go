package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// newImage makes an image of layers in tar files, lowest first.
func newImage(config v1.Config, layers ...string) (v1.Image, error) {
	config.Env = append(config.Env, searchPath)
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	for _, file := range layers {
		layer, err := newTarLayer(file)
		if err != nil {
			return nil, err
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			return nil, err
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, file)
}

// treeImage makes an image of one tree, whose tar file stays in the scratch
// folder until the image has been written.
func treeImage(b *bench, config v1.Config, t *tree) (v1.Image, error) {
	file, err := os.CreateTemp(b.scratch, "layer-*.tar")
	if err != nil {
		return nil, err
	}
	file.Close()
	if err := t.writeFile(file.Name()); err != nil {
		return nil, err
	}
	return newImage(config, file.Name())
}

// writeLayout writes images as an OCI layout; the annotations are those of the
// image of the same position.
func writeLayout(dir string, images []v1.Image, annotations []map[string]string) error {
	target, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("writing the OCI layout %s: %w", dir, err)
	}
	for i, img := range images {
		if err := target.AppendImage(img, layout.WithAnnotations(annotations[i])); err != nil {
			return fmt.Errorf("writing the OCI layout %s: %w", dir, err)
		}
	}
	return nil
}

// onlyImage reads the one image of a layout.
func onlyImage(dir string) (v1.Image, error) {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	if len(manifest.Manifests) != 1 {
		return nil, fmt.Errorf("%s holds %d images, not one", dir, len(manifest.Manifests))
	}
	return index.Image(manifest.Manifests[0].Digest)
}

// A tarLayer is an uncompressed layer in a file. The images never cross a
// network: compressing them would only make `devbox up` slower.
type tarLayer struct {
	file string
	hash v1.Hash
	size int64
}

func newTarLayer(file string) (*tarLayer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	if err != nil {
		return nil, fmt.Errorf("hashing %s: %w", file, err)
	}
	return &tarLayer{file: file, size: size, hash: v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(h.Sum(nil))}}, nil
}

func (l *tarLayer) Digest() (v1.Hash, error)             { return l.hash, nil }
func (l *tarLayer) DiffID() (v1.Hash, error)             { return l.hash, nil }
func (l *tarLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l *tarLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.file) }
func (l *tarLayer) Size() (int64, error)                 { return l.size, nil }
func (l *tarLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }

// unpack writes an image's whole file system into a folder.
func unpack(img v1.Image, dir string) error {
	stream := mutate.Extract(img)
	defer stream.Close()
	reader := tar.NewReader(stream)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unpackOne(reader, header, dir); err != nil {
			return fmt.Errorf("unpacking %s: %w", header.Name, err)
		}
	}
}

func unpackOne(r io.Reader, header *tar.Header, dir string) error {
	target := filepath.Join(dir, filepath.FromSlash(header.Name))
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(header.Mode) & fs.ModePerm
	switch header.Typeflag {
	case tar.TypeDir:
		return os.MkdirAll(target, mode)
	case tar.TypeSymlink:
		return os.Symlink(header.Linkname, target)
	case tar.TypeReg:
		f, err := os.OpenFile(target, os.O_CREATE|os.O_WRONLY|os.O_EXCL, mode)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, r); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	default:
		return fmt.Errorf("unexpected kind of file %q", header.Typeflag)
	}
}
