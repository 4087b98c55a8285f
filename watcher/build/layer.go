package build

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// uncompress is ko's image with the layers ko put on the base image stored
// as they are instead of gzipped. ko has no switch for it, but it keeps the
// tar it gzipped in memory and has hashed it for the configuration, which
// therefore stays the same: nothing is decompressed or hashed again.
func uncompress(img v1.Image) (v1.Image, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	manifest, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	mt, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	layerType := types.OCIUncompressedLayer
	if mt == types.DockerManifestSchema2 {
		layerType = types.DockerUncompressedLayer
	}
	own := 0
	for _, h := range cfg.History {
		if h.Author == "ko" {
			own++
		}
	}
	for i := max(len(layers)-own, 0); i < len(layers); i++ {
		if layers[i], err = rawLayer(layers[i], layerType); err != nil {
			return nil, err
		}
	}
	raw := mutate.ConfigMediaType(mutate.MediaType(empty.Image, mt), manifest.Config.MediaType)
	if raw, err = mutate.AppendLayers(raw, layers...); err != nil {
		return nil, err
	}
	if raw, err = mutate.ConfigFile(raw, cfg); err != nil {
		return nil, err
	}
	return mutate.Annotations(raw, manifest.Annotations).(v1.Image), nil
}

// raw is a layer that travels uncompressed, so that its digest is its diff ID.
type raw struct {
	v1.Layer
	size      int64
	mediaType types.MediaType
}

func rawLayer(l v1.Layer, mt types.MediaType) (v1.Layer, error) {
	rc, err := l.Uncompressed()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	size, err := io.Copy(io.Discard, rc)
	return raw{Layer: l, size: size, mediaType: mt}, err
}

func (l raw) Digest() (v1.Hash, error)            { return l.DiffID() }
func (l raw) Compressed() (io.ReadCloser, error)  { return l.Uncompressed() }
func (l raw) Size() (int64, error)                { return l.size, nil }
func (l raw) MediaType() (types.MediaType, error) { return l.mediaType, nil }
