package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"runtime/debug"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ko "github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"
	"github.com/google/ko/pkg/publish"

	"github.com/kind-in-a-box/devbox/internal/push"
)

// ReleaseOptions are where images for others go, and what they are for.
type ReleaseOptions struct {
	Registry  string   // a host and a path on it, such as registry.example.com/team
	Tags      []string // besides the digest; none is latest
	Platforms []string // such as linux/arm64, or all; none is what .ko.yaml says, or linux/amd64
	Insecure  bool     // plain HTTP, and certificates that nobody has signed
	WorkDir   string   // what paths in a CompileError are relative to
}

// Releaser makes images for others than a box, as `ko resolve` does: nothing of
// them is the loop's. It is not safe for concurrent use.
type Releaser struct {
	options   ReleaseOptions
	publisher publish.Interface
	namer     publish.Namer
	pushed    map[string]string // by import path
}

// NewReleaser makes one. The error is about the registry's name.
func NewReleaser(o ReleaseOptions) (*Releaser, error) {
	if _, err := name.NewRepository(o.Registry + "/x"); err != nil {
		return nil, fmt.Errorf("%q is no registry and path on it, such as registry.example.com/team: %w", o.Registry, err)
	}
	tags := o.Tags
	if len(tags) == 0 {
		tags = []string{"latest"}
	}
	namer := options.MakeNamer(&options.PublishOptions{})
	p, err := publish.NewDefault(o.Registry,
		publish.WithAuthFromKeychain(authn.DefaultKeychain), publish.WithTags(tags), publish.Insecure(o.Insecure),
		publish.WithNamer(namer),
	)
	if err != nil {
		return nil, fmt.Errorf("preparing to push to %s: %w", o.Registry, err)
	}
	return &Releaser{options: o, publisher: p, namer: namer, pushed: map[string]string{}}, nil
}

// Release makes the image of the main package importPath, with dir as Build has
// it, pushes it with its bill of materials, and returns its name by digest. It
// fails as Build does, and with a *PushError where the registry does not take it,
// which is asked before the build.
func (r *Releaser) Release(ctx context.Context, dir, importPath string) (string, error) {
	if ref := r.pushed[importPath]; ref != "" {
		return ref, nil
	}
	registry := push.User(r.options.Registry)
	registry.Insecure = r.options.Insecure
	if err := registry.Check(ctx, r.namer("", strings.ToLower(importPath))); err != nil { // the publisher names it so too
		return "", &PushError{r.options.Registry, err}
	}
	result, err := r.build(ctx, dir, importPath)
	if err != nil {
		return "", err
	}
	ref, err := r.publisher.Publish(ctx, result, ko.StrictScheme+importPath)
	if err != nil {
		return "", &PushError{r.options.Registry, err}
	}
	r.pushed[importPath] = ref.String()
	return ref.String(), nil
}

// PushError says that a registry has not taken an image.
type PushError struct {
	Registry string // a host and a path on it
	Err      error
}

func (e *PushError) Error() string { return "pushing to " + e.Registry + ": " + e.Err.Error() }
func (e *PushError) Unwrap() error { return e.Err }

// build has ko make an image, or one for each platform.
func (r *Releaser) build(ctx context.Context, dir, importPath string) (ko.Result, error) {
	cfg, err := read(dir)
	if err != nil {
		return nil, seenFrom(r.options.WorkDir, err)
	}
	builder, err := ko.NewGobuilds(ctx, cfg.root, cfg.BuildConfigs,
		ko.WithBaseImages(func(ctx context.Context, ip string) (name.Reference, ko.Result, error) {
			return r.base(ctx, cfg.releasedBase(strings.TrimPrefix(ip, ko.StrictScheme)))
		}),
		ko.WithConfig(cfg.BuildConfigs),
		ko.WithDefaultEnv(cfg.DefaultEnv),
		ko.WithDefaultFlags(cfg.DefaultFlags),
		ko.WithDefaultLdflags(cfg.DefaultLdflags),
		ko.WithPlatforms(r.platforms(cfg)...),
		ko.WithTrimpath(true),
		ko.WithSPDX(koVersion()),
	)
	if err != nil {
		return nil, &ImageError{Target: importPath, Err: err}
	}
	result, err := builder.Build(ctx, ko.StrictScheme+importPath)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("building %s: %w", importPath, context.Cause(ctx))
	case errors.As(err, &exit):
		return nil, newCompileError(importPath, cfg.dir(importPath), r.options.WorkDir, compilerOutput(err, exit))
	case err != nil:
		return nil, &ImageError{Target: importPath, Err: err}
	}
	return result, nil
}

// platforms are those to build for, by ko's rules.
func (r *Releaser) platforms(cfg *config) []string {
	switch goos, goarch := os.Getenv("GOOS"), os.Getenv("GOARCH"); {
	case len(r.options.Platforms) > 0:
		return r.options.Platforms
	case len(cfg.DefaultPlatforms) > 0:
		return cfg.DefaultPlatforms
	case goos != "" && goarch != "":
		return []string{path.Join(goos, goarch)}
	}
	return []string{"linux/amd64"}
}

// releasedBase is the base image of an import path outside of the loop, which
// makes one where nobody names any.
func (c *config) releasedBase(importPath string) baseImage {
	base := c.base(importPath)
	return baseImage{cmp.Or(base.ref, c.BaseImage), cmp.Or(base.by, "ko's default")}
}

// base fetches a base image, or an index of several.
func (r *Releaser) base(ctx context.Context, wanted baseImage) (name.Reference, ko.Result, error) {
	var how []name.Option
	if r.options.Insecure {
		how = append(how, name.Insecure)
	}
	ref, err := name.ParseReference(wanted.ref, how...)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing base image %q, which %s names: %w", wanted.ref, wanted.by, err)
	}
	found, err := remote.Get(ref, remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		return nil, nil, fmt.Errorf("fetching base image %s, which %s names: %w", wanted.ref, wanted.by, err)
	}
	var base ko.Result
	if found.MediaType.IsIndex() {
		base, err = found.ImageIndex()
	} else {
		base, err = found.Image()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading base image %s: %w", wanted.ref, err)
	}
	return ref, base, nil
}

// koVersion is the version of ko that a bill of materials names as its tool.
func koVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, dep := range info.Deps {
			if dep.Path == "github.com/google/ko" {
				return dep.Version
			}
		}
	}
	return "unknown"
}
