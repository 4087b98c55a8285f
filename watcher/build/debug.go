package build

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// DelvePath is where Delve is in an image that is built for it.
const DelvePath = "/ko-app/dlv"

// What a debugger needs of a program, whatever .ko.yaml says of it: the source
// by the paths that an editor has, every variable and every line of the
// packages that somebody works on, and symbols.
var (
	debugFlags   = []string{"-trimpath=false", "-gcflags=work=-N -l"}
	debugLdflags = []string{"-s=false", "-w=false"}
)

// debugging is the configuration for programs that a debugger is to look into.
// Of equal flags the go command and the linker take the last.
func (c *config) debugging() *config {
	with := *c
	with.DefaultFlags = slices.Concat(c.DefaultFlags, debugFlags)
	with.DefaultLdflags = slices.Concat(c.DefaultLdflags, debugLdflags)
	with.BuildConfigs = maps.Clone(c.BuildConfigs)
	for importPath, bc := range with.BuildConfigs {
		if len(bc.Flags) > 0 { // which replace the default
			bc.Flags = slices.Concat(bc.Flags, debugFlags)
		}
		if len(bc.Ldflags) > 0 {
			bc.Ldflags = slices.Concat(bc.Ldflags, debugLdflags)
		}
		with.BuildConfigs[importPath] = bc
	}
	return &with
}

// withDelve is an image of this Builder's with Delve in it, in a layer that
// stays the same.
func (b *Builder) withDelve(img v1.Image) (v1.Image, error) {
	mt, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	layer, err := b.delve()
	if err != nil {
		return nil, fmt.Errorf("putting Delve into it: %w", err)
	}
	of := types.OCIUncompressedLayer
	if mt == types.DockerManifestSchema2 {
		of = types.DockerUncompressedLayer
	}
	with, err := mutate.Append(img, mutate.Addendum{
		Layer: layer, MediaType: of,
		History: v1.History{Author: "devbox", CreatedBy: "devbox", Comment: "Delve, at " + DelvePath},
	})
	return image{with, Way(img)}, err
}

// delveLayer is the layer with a Delve that is a file here.
func delveLayer(file string) (v1.Layer, error) {
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: DelvePath, Typeflag: tar.TypeReg, Mode: 0o555, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return static.NewLayer(buf.Bytes(), types.OCIUncompressedLayer), nil
}
