package app

import (
	"context"
	"fmt"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/compile"
	"github.com/kind-in-a-box/devbox/internal/platform"
	"github.com/kind-in-a-box/devbox/internal/release"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// buildPlatform returns the images of the serving stack: those of a release
// where devbox was unpacked from one, else built from source.
func buildPlatform(ctx context.Context) (bootstrap.Platform, error) {
	var images map[string]v1.Image
	beside, released, err := released(release.Images)
	switch {
	case err != nil:
	case released:
		images, err = platform.Load(beside.Path(release.Images), "serving", "queue")
	default:
		_, images, err = buildOurs(ctx, "serving", "queue")
	}
	if err != nil {
		return bootstrap.Platform{}, err
	}
	return bootstrap.Platform{Serving: images["serving"], Queue: images["queue"]}, nil
}

// queueLayout returns an OCI layout that has queue-proxy's image alone.
func queueLayout(ctx context.Context) (string, error) {
	cache, _, err := buildOurs(ctx, "queue")
	return string(cache), err
}

// buildOurs returns the images of folders of our own cmd, built from our own
// source, or kept from when this very source was built before, and where they
// are kept.
func buildOurs(ctx context.Context, folders ...string) (platformCache, map[string]v1.Image, error) {
	dir, err := compile.Source(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("finding the source of the serving stack: %w", err)
	}
	builder, err := build.NewOwn(ctx, dir, runtime.GOARCH)
	if err != nil {
		return "", nil, err
	}
	cache, err := cacheOf(ctx, builder, folders)
	if err != nil {
		return "", nil, err
	}
	if images, err := platform.Load(string(cache), folders...); err == nil {
		return cache, images, nil
	}
	built := make([]v1.Image, len(folders))
	group, ctx := errgroup.WithContext(ctx)
	for i, folder := range folders {
		group.Go(func() (err error) {
			built[i], err = builder.Build(ctx, compile.Module+"/cmd/"+folder)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return "", nil, err
	}
	images := map[string]v1.Image{}
	for i, folder := range folders {
		images[folder] = built[i]
	}
	if err := cache.save(images); err != nil {
		return "", nil, fmt.Errorf("keeping the images of the serving stack: %w", err)
	}
	return cache, images, nil
}
