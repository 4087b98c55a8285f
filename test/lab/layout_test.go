package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// The layout is read back with the library that devbox reads it with.
func TestLayoutHoldsEveryImageOfTheBox(t *testing.T) {
	node, pilot, proxy := testImage(t, "node", plain), testImage(t, "pilot", plain), testImage(t, "proxy", packed)
	prometheus, zipkin, postgres := testImage(t, "prometheus", plain), testImage(t, "zipkin", plain), testImage(t, "postgres", plain)
	dir := t.TempDir()
	b := &bench{dir: dir, scratch: t.TempDir(), log: t.Output()}
	parts := boxParts{
		kubernetes: "v1.37.2", istio: "1.31.0", node: node, pilot: pilot, proxy: proxy,
		prometheus: prometheus, zipkin: zipkin, postgres: postgres,
	}
	if err := boxLayout(parts).build(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index, validate.Fast); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"dev.devbox.kubernetes": "v1.37.2", "dev.devbox.istio": "1.31.0"}; !maps.Equal(manifest.Annotations, want) {
		t.Errorf("the index says %v, want %v", manifest.Annotations, want)
	}
	for _, descriptor := range manifest.Manifests {
		img, err := index.Image(descriptor.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := unpack(img, t.TempDir()); err != nil {
			t.Errorf("image %v: %v", descriptor.Annotations, err)
		}
	}
	tag := parts.istioTag()
	want := []map[string]string{
		{refAnnotation: "devbox.local/kind-node:v1.37.2", roleAnnotation: "node", cgroupAnnotation: "v1-ok", cniAnnotation: "builtin"},
		{refAnnotation: "devbox.local/istio/pilot:1.31.0-" + tag, roleAnnotation: "istio-pilot"},
		{refAnnotation: "devbox.local/istio/proxyv2:1.31.0-" + tag, roleAnnotation: "istio-proxy", envoyAnnotation: "upstream"},
		{refAnnotation: "devbox.local/prometheus:bookworm", roleAnnotation: "prometheus"},
		{refAnnotation: "devbox.local/zipkin:" + zipkinVersion, roleAnnotation: "zipkin"},
		{refAnnotation: "docker.io/library/postgres:" + postgresVersion},
	}
	got := manifest.Manifests
	if !slices.EqualFunc(got, want, func(d v1.Descriptor, a map[string]string) bool { return maps.Equal(d.Annotations, a) }) {
		t.Errorf("the images are %+v, want %v", got, want)
	}
}

func TestPackingsGiveTheSameFiles(t *testing.T) {
	for want, pack := range map[types.MediaType]packing{types.OCIUncompressedLayer: plain, types.OCILayerZStd: packed} {
		tr := newTree()
		tr.data("/etc/name", 0o644, []byte("box"))
		tr.link("/lib", "usr/lib")
		b := &bench{scratch: t.TempDir()}
		img, err := treeImage(b, v1.Config{User: "1337:1337"}, tr, pack)
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := layers[0].MediaType(); err != nil || got != want {
			t.Errorf("the layer is %s, %v, want %s", got, err, want)
		}
		root := t.TempDir()
		if err := unpack(img, root); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(root, "etc/name"))
		if link, _ := os.Readlink(filepath.Join(root, "lib")); err != nil || string(data) != "box" || link != "usr/lib" {
			t.Errorf("unpacked are %q and %q, %v", data, link, err)
		}
	}
}

// testImage is an artefact with one small image.
func testImage(t *testing.T, name string, pack packing) *artefact {
	t.Helper()
	tr := newTree()
	tr.data("/name", 0o644, []byte(name))
	img, err := treeImage(&bench{scratch: t.TempDir()}, v1.Config{}, tr, pack)
	if err != nil {
		t.Fatal(err)
	}
	a := &artefact{recipe: recipe{name: name}, key: name, dir: t.TempDir()}
	if err := writeLayout(a.dir, []v1.Image{img}, []map[string]string{nil}); err != nil {
		t.Fatal(err)
	}
	return a
}
