package images

import (
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// InEngine says whether the docker engine has the image.
func InEngine(ctx context.Context, ref string) (bool, error) {
	err := docker.Run(ctx, nil, io.Discard, "image", "inspect", ref)
	if docker.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// ProvideNode sees to it that the docker engine has the set's node image, and
// says whether it had to be brought.
func (s Set) ProvideNode(ctx context.Context) (brought bool, err error) {
	ref := s.Ref(Node)
	there, err := InEngine(ctx, ref)
	if err != nil || there {
		return false, err
	}
	if s.Layout == "" {
		if err := docker.Run(ctx, nil, io.Discard, "pull", "--quiet", ref); err != nil {
			return false, fmt.Errorf("pulling the node image: %w", err)
		}
		return true, nil
	}
	img, err := s.Open(Node)
	if err != nil {
		return false, err
	}
	return true, load(ctx, img, ref, s.Images[Node].Name)
}

// load streams an image to the engine, which will have it under all those
// names, in docker's own form of archive: every version of docker reads it.
func load(ctx context.Context, img v1.Image, names ...string) error {
	tags := map[name.Tag]v1.Image{}
	for _, n := range names {
		tag, err := name.NewTag(n)
		if err != nil {
			return fmt.Errorf("reading image name: %w", err)
		}
		tags[tag] = img
	}
	err := stream(
		func(w io.Writer) error { return tarball.MultiWrite(tags, w) },
		func(r io.Reader) error { return docker.Run(ctx, r, io.Discard, "load") })
	if err != nil {
		return fmt.Errorf("loading the node image into docker: %w", err)
	}
	return nil
}
