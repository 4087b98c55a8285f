package box

import (
	"os"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// Load gives the box an image of DEVBOX_IMAGES that is no part of a box, under
// the name that it has there: in the place of a registry that has it.
func (b *Box) Load(t testing.TB, ref string) {
	t.Helper()
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	dir := os.Getenv("DEVBOX_IMAGES")
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		if m.Annotations["org.opencontainers.image.ref.name"] != ref {
			continue
		}
		img, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.engine.load(b, tag, img); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatalf("the images in %s have no %s; `make lab` makes one", dir, ref)
}
