package main

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/google/go-containerregistry/pkg/compression"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const searchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// newImage makes an image of layers, lowest first.
func newImage(config v1.Config, layers ...v1.Layer) (v1.Image, error) {
	config.Env = append(config.Env, searchPath)
	img := mutate.MediaType(empty.Image, types.OCIManifestSchema1)
	img = mutate.ConfigMediaType(img, types.OCIConfigJSON)
	img, err := mutate.AppendLayers(img, layers...)
	if err != nil {
		return nil, err
	}
	file, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	file = file.DeepCopy()
	file.OS, file.Architecture, file.Config = "linux", runtime.GOARCH, config
	return mutate.ConfigFile(img, file)
}

// treeImage makes an image of one tree.
func treeImage(b *bench, config v1.Config, t *tree, pack packing) (v1.Image, error) {
	layer, err := treeLayer(b, t, pack)
	if err != nil {
		return nil, err
	}
	return newImage(config, layer)
}

// treeLayer makes a layer of a tree. Its tar file stays in the scratch folder,
// from where it is read when the image is written.
func treeLayer(b *bench, t *tree, pack packing) (v1.Layer, error) {
	file, err := os.CreateTemp(b.scratch, "layer-*.tar")
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	if err := t.writeFile(file.Name()); err != nil {
		return nil, err
	}
	return pack(file.Name())
}

// A packing makes a layer of a tar file.
type packing func(file string) (v1.Layer, error)

// packed compresses a layer. Images inside the node image are packed: they are
// copied whole twice, by `docker load` and into the node's /var, before they
// are unpacked once. That halves the time of the load.
func packed(file string) (v1.Layer, error) {
	return tarball.LayerFromFile(file, tarball.WithMediaType(types.OCILayerZStd),
		tarball.WithCompression(compression.ZStd), tarball.WithCompressionLevel(1))
}

// plain leaves a layer as it is. Images of the layout are plain: they cross no
// network, so packing would only make `devbox up` slower.
func plain(file string) (v1.Layer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	digest, size, err := v1.SHA256(f)
	if err != nil {
		return nil, fmt.Errorf("hashing %s: %w", file, err)
	}
	return &plainLayer{file: file, digest: digest, size: size}, nil
}

// A plainLayer is an uncompressed layer in a file, which go-containerregistry
// can read but not make.
type plainLayer struct {
	file   string
	digest v1.Hash
	size   int64
}

func (l *plainLayer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l *plainLayer) DiffID() (v1.Hash, error)             { return l.digest, nil }
func (l *plainLayer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l *plainLayer) Uncompressed() (io.ReadCloser, error) { return os.Open(l.file) }
func (l *plainLayer) Size() (int64, error)                 { return l.size, nil }
func (l *plainLayer) MediaType() (types.MediaType, error)  { return types.OCIUncompressedLayer, nil }

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
