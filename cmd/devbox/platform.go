package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/modfile"
	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/goenv"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// modulePath is our own module.
const modulePath = "github.com/kind-in-a-box/devbox"

// buildPlatform returns the images of the serving stack.
func buildPlatform(ctx context.Context) (bootstrap.Platform, error) {
	_, images, err := buildOurs(ctx, "serving", "queue")
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
	dir, err := source(ctx)
	if err != nil {
		return "", nil, fmt.Errorf("finding the source of the serving stack: %w", err)
	}
	builder, err := build.NewOwn(ctx, dir)
	if err != nil {
		return "", nil, err
	}
	cache, err := cacheOf(ctx, builder, folders)
	if err != nil {
		return "", nil, err
	}
	if images, ok := cache.load(folders); ok {
		return cache, images, nil
	}
	built := make([]v1.Image, len(folders))
	group, ctx := errgroup.WithContext(ctx)
	for i, folder := range folders {
		group.Go(func() (err error) {
			built[i], err = builder.Build(ctx, modulePath+"/cmd/"+folder)
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

// source returns the root of our module's source: the checkout this binary
// was built from, the one the working directory lies in, or, for an installed
// binary, the very version in the module cache, into which the go command
// fetches it.
func source(ctx context.Context) (string, error) {
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) {
		if root := filepath.Join(filepath.Dir(file), "..", ".."); isOurs(root) {
			return root, nil
		}
	}
	if out, err := goenv.Command(ctx, "list", "-m", "-f", "{{.Dir}}", modulePath).Output(); err == nil {
		if root := strings.TrimSpace(string(out)); isOurs(root) {
			return root, nil
		}
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Path != modulePath || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "", errors.New("this binary does not name the version it was built from; " +
			"run it inside a checkout of " + modulePath)
	}
	return download(ctx, modulePath+"@"+info.Main.Version)
}

// isOurs says whether dir is the root of our module.
func isOurs(dir string) bool {
	content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && modfile.ModulePath(content) == modulePath
}

// download asks the go command for a version of our module.
func download(ctx context.Context, version string) (string, error) {
	env, err := goenv.Own(ctx, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	cmd := goenv.Command(ctx, "mod", "download", "-json", version)
	cmd.Dir = os.TempDir() // not in anybody's module, whose replacements are not meant
	cmd.Env = append(os.Environ(), env...)
	out, failure := cmd.Output()
	var module struct{ Dir, Error string }
	if err := json.Unmarshal(out, &module); err != nil {
		return "", fmt.Errorf("downloading %s: %w", version, errors.Join(failure, err))
	}
	if module.Error != "" {
		return "", fmt.Errorf("downloading %s: %s", version, module.Error)
	}
	return module.Dir, nil
}
