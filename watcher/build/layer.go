package build

import (
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// layout is what an image of ko's consists of.
type layout struct {
	base      []v1.Layer // of the base image
	own       []v1.Layer // that ko put on it: kodata, and the program
	config    *v1.ConfigFile
	manifest  *v1.Manifest
	mediaType types.MediaType
}

func layoutOf(img v1.Image) (layout, error) {
	layers, err := img.Layers()
	if err != nil {
		return layout{}, err
	}
	l := layout{}
	if l.config, err = img.ConfigFile(); err != nil {
		return layout{}, err
	}
	if l.manifest, err = img.Manifest(); err != nil {
		return layout{}, err
	}
	if l.mediaType, err = img.MediaType(); err != nil {
		return layout{}, err
	}
	own := 0
	for _, h := range l.config.History {
		if h.Author == "ko" {
			own++
		}
	}
	base := max(len(layers)-own, 0)
	l.base, l.own = layers[:base:base], layers[base:]
	return l, nil
}

// layerType is that of layers which are stored as they are.
func (l layout) layerType() types.MediaType {
	if l.mediaType == types.DockerManifestSchema2 {
		return types.DockerUncompressedLayer
	}
	return types.OCIUncompressedLayer
}

// with is the image with other layers on its base image.
func (l layout) with(own ...v1.Layer) (v1.Image, error) {
	config := l.config.DeepCopy()
	config.RootFS.DiffIDs = config.RootFS.DiffIDs[:len(l.base):len(l.base)]
	for _, layer := range own {
		id, err := layer.DiffID()
		if err != nil {
			return nil, err
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, id)
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, l.mediaType), l.manifest.Config.MediaType)
	img, err := mutate.AppendLayers(img, append(l.base, own...)...)
	if err != nil {
		return nil, err
	}
	if img, err = mutate.ConfigFile(img, config); err != nil {
		return nil, err
	}
	return mutate.Annotations(img, l.manifest.Annotations).(v1.Image), nil
}

// uncompressed is ko's image with the layers ko put on the base image stored
// as they are instead of gzipped. ko has no switch for it, but it keeps the
// tar it gzipped in memory and has hashed it: nothing is decompressed or
// hashed again.
func (l layout) uncompressed() (v1.Image, error) {
	own := make([]v1.Layer, len(l.own))
	for i, layer := range l.own {
		var err error
		if own[i], err = rawLayer(layer, l.layerType()); err != nil {
			return nil, err
		}
	}
	return l.with(own...)
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
