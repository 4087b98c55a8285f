package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/modfile"
	"golang.org/x/sync/errgroup"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// modulePath is our own module.
const modulePath = "github.com/kind-in-a-box/devbox"

// buildPlatform returns the images of the serving stack, built from our own
// source, or kept from when this very source was built before.
func buildPlatform(ctx context.Context) (bootstrap.Platform, error) {
	dir, err := source(ctx)
	if err != nil {
		return bootstrap.Platform{}, fmt.Errorf("finding the source of the serving stack: %w", err)
	}
	builder := build.New(build.Options{WorkDir: dir})
	cache, err := cacheOf(ctx, builder, dir)
	if err != nil {
		return bootstrap.Platform{}, err
	}
	if platform, ok := cache.load(); ok {
		return platform, nil
	}
	var platform bootstrap.Platform
	group, ctx := errgroup.WithContext(ctx)
	for folder, image := range map[string]*v1.Image{"serving": &platform.Serving, "queue": &platform.Queue} {
		group.Go(func() (err error) {
			*image, err = builder.Build(ctx, dir, modulePath+"/cmd/"+folder)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return bootstrap.Platform{}, err
	}
	if err := cache.save(platform); err != nil {
		return bootstrap.Platform{}, fmt.Errorf("keeping the images of the serving stack: %w", err)
	}
	return platform, nil
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
	if out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output(); err == nil {
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
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", version)
	cmd.Dir = os.TempDir() // not in anybody's module, whose replacements are not meant
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
