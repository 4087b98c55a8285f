package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/internal/event"
)

// pullImages fetches a set's images of those roles from its registries into an OCI layout that
// [images.FromLayout] reads. Each image is a step of its own; the index names
// an image when all of it is there, so that an interrupted pull goes on where
// it was.
func pullImages(ctx context.Context, set images.Set, roles []images.Role, dir string, events event.Sink) error {
	path, err := openLayout(dir)
	if err != nil {
		return fmt.Errorf("opening the layout %s: %w", dir, err)
	}
	for _, role := range roles {
		start := time.Now()
		events.Emit(event.Event{Kind: event.StepStarted, Step: string(role), Message: "fetching " + set.Ref(role)})
		if err := pullImage(ctx, path, role, set.Ref(role)); err != nil {
			events.Emit(event.Event{Kind: event.StepFailed, Step: string(role), Error: err.Error(), Duration: time.Since(start)})
			return err
		}
		events.Emit(event.Event{Kind: event.StepDone, Step: string(role), Message: set.Ref(role), Duration: time.Since(start)})
	}
	return annotate(path, set)
}

// openLayout opens a layout, or makes an empty one.
func openLayout(dir string) (layout.Path, error) {
	path, err := layout.FromPath(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return layout.Write(dir, empty.Index)
	}
	return path, err
}

// pullImage puts one image into the layout, in the place of an older one of
// its role.
func pullImage(ctx context.Context, path layout.Path, role images.Role, reference string) error {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return fmt.Errorf("reading image name: %w", err)
	}
	img, err := remote.Image(ref, remote.WithContext(ctx),
		remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", reference, err)
	}
	if there, err := holds(path, role, img); err != nil || there {
		return err
	}
	err = path.ReplaceImage(img, match.Annotation(images.RoleKey, string(role)), layout.WithAnnotations(map[string]string{
		images.RoleKey: string(role),
		images.RefKey:  tagged(reference),
	}))
	if err != nil {
		return fmt.Errorf("fetching %s: %w", reference, err)
	}
	return nil
}

// holds says whether the layout's index names the image in that role.
func holds(path layout.Path, role images.Role, img v1.Image) (bool, error) {
	digest, err := img.Digest()
	if err != nil {
		return false, fmt.Errorf("reading the manifest: %w", err)
	}
	root, err := path.ImageIndex()
	if err != nil {
		return false, fmt.Errorf("reading the layout's index: %w", err)
	}
	index, err := root.IndexManifest()
	if err != nil {
		return false, fmt.Errorf("reading the layout's index: %w", err)
	}
	return slices.ContainsFunc(index.Manifests, func(m v1.Descriptor) bool {
		return m.Digest == digest && m.Annotations[images.RoleKey] == string(role)
	}), nil
}

// tagged is a reference without the digest that pins it: a layout pins its
// images itself.
func tagged(reference string) string {
	tag, _, _ := strings.Cut(reference, "@")
	return tag
}

// annotate writes on the layout's index what the set is made of.
func annotate(path layout.Path, set images.Set) error {
	index, err := path.ImageIndex()
	if err != nil {
		return fmt.Errorf("reading the layout's index: %w", err)
	}
	kubernetes := set.Kubernetes
	if tag, err := name.NewTag(tagged(set.Ref(images.Node))); kubernetes == "" && err == nil {
		kubernetes = tag.TagStr()
	}
	annotated, ok := mutate.Annotations(index, map[string]string{
		images.KubernetesKey: kubernetes,
		images.IstioKey:      set.Istio,
	}).(v1.ImageIndex)
	if !ok {
		return errors.New("annotating the layout's index: it is no index any more")
	}
	content, err := annotated.RawManifest()
	if err != nil {
		return fmt.Errorf("annotating the layout's index: %w", err)
	}
	return path.WriteFile("index.json", content, 0o644)
}
