package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"text/template"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ko "github.com/google/ko/pkg/build"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// Options are the ways in which Builders differ.
type Options struct {
	// WorkDir is what paths in a CompileError are relative to. Empty leaves
	// them absolute.
	WorkDir string
	// Arch is the architecture to build for; empty means this machine's.
	Arch string
	// Others are architectures to build for besides.
	Others []string
	// Waits is told, in a sentence, of a registry that has not answered for a
	// while. Nil where nobody wants to know.
	Waits func(sentence string)
	// Again says that the same programs will be built after edits: what a build
	// need not repeat is remembered, until Close.
	Again bool
	// Delve is a file with the debugger, for Linux. Where it is set, programs
	// are made for it to look into, and it is in their images at DelvePath.
	Delve string
}

// Builder builds images. It is safe for concurrent use.
type Builder struct {
	workDir  string
	platform v1.Platform
	bases    bases
	memory   *memory                  // nil where nothing is remembered
	delve    func() (v1.Layer, error) // nil where nothing is debugged
	others   []*Builder               // of the other architectures
}

// New makes a Builder. From then on this process's environment is that of
// services: ko loads packages with it, and can be given no other.
func New(o Options) *Builder {
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	removeStale()
	var others []*Builder
	for _, arch := range o.Others { // before the first, whose environment stays
		other := o
		other.Arch, other.Others = arch, nil
		others = append(others, New(other))
	}
	for _, variable := range goenv.Services("linux", o.Arch) {
		name, value, _ := strings.Cut(variable, "=")
		_ = os.Setenv(name, value) // which fails for no name like these
	}
	if o.WorkDir != "" { // the go command names files by it, so no link may lead to it
		_ = os.Setenv("PWD", o.WorkDir)
	}
	b := &Builder{
		others:   others,
		bases:    bases{waits: o.Waits},
		workDir:  o.WorkDir,
		platform: v1.Platform{OS: "linux", Architecture: o.Arch},
	}
	if o.Delve != "" {
		b.delve = sync.OnceValues(func() (v1.Layer, error) { return delveLayer(o.Delve) })
	}
	if o.Again {
		b.memory, _ = newMemory() // without a folder to work in, the go command makes everything anew
	}
	return b
}

// Close forgets what is remembered, and removes it. No Build may run, or
// follow.
func (b *Builder) Close() {
	for _, other := range b.others {
		other.Close()
	}
	if b.memory != nil {
		b.memory.close()
	}
}

// Build makes the image of the main package importPath, with dir, a folder
// of its module, as the place to look for .ko.yaml: in dir itself or the
// nearest folder above it, up to the root of the module.
//
// A source that does not compile gives a *CompileError, anything else that is
// in the way of an image an *ImageError. When ctx ends the compiler is stopped, what it wrote is removed, and the error wraps ctx's.
func (b *Builder) Build(ctx context.Context, dir, importPath string) (v1.Image, error) {
	img, err := b.build(ctx, dir, importPath)
	if err != nil {
		return nil, err
	}
	if b.delve != nil {
		if img, err = b.withDelve(img); err != nil {
			return nil, &ImageError{Target: importPath, Err: err}
		}
	}
	return b.forOthers(ctx, dir, importPath, img)
}

// build is Build, but for Delve.
func (b *Builder) build(ctx context.Context, dir, importPath string) (v1.Image, error) {
	cfg, err := b.config(dir)
	if err != nil {
		return nil, seenFrom(b.workDir, err)
	}
	data, err := b.dataOf(dir, importPath)
	if err != nil {
		return nil, err
	}
	if b.memory == nil || data.unread {
		_, img, err := b.byGo(ctx, cfg, data, importPath)
		return img, err
	}
	t, how := target{dir, importPath}, cfg.how(importPath)
	img, why, err := b.again(ctx, t, how, data)
	if img != nil || err != nil {
		return img, err
	}
	l, img, err := b.byGo(ctx, cfg, data, importPath)
	if err != nil {
		return nil, err
	}
	b.memory.learn(ctx, t, cfg.command(importPath), how, l)
	if why == firstTime {
		return img, nil
	}
	return image{img, "by the go command: " + why}, nil
}

// byGo has ko and the go command make an image.
func (b *Builder) byGo(ctx context.Context, cfg *config, data kodata, importPath string) (layout, v1.Image, error) {
	// The go command removes its work folder unless it is killed, which is
	// how ko cancels it: so the folder is ours to remove.
	tmp, err := makeTemp()
	if err != nil {
		return layout{}, nil, err
	}
	defer os.RemoveAll(tmp)
	how := cfg.withEnv("GOTMPDIR=" + tmp)
	if !data.plain {
		if err := data.standIn(tmp, importPath); err != nil {
			return layout{}, nil, fmt.Errorf("laying out the kodata of %s: %w", importPath, err)
		}
		how = how.standingIn(importPath, tmp)
	}
	img, err := b.ko(ctx, how, importPath)
	switch {
	case ctx.Err() != nil:
		return layout{}, nil, fmt.Errorf("building %s: %w", importPath, context.Cause(ctx))
	case err != nil:
		if wrong, ok := errors.AsType[template.ExecError](err); ok {
			return layout{}, nil, &ConfigError{relative(b.workDir, koFile(cfg.root)), wrong.Err}
		}
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return layout{}, nil, newCompileError(importPath, cfg.dir(importPath), b.workDir, compilerOutput(err, exit))
		}
		return layout{}, nil, &ImageError{Target: importPath, Err: err}
	}
	l, err := layoutOf(img)
	if err == nil {
		img, err = l.uncompressed()
	}
	if err != nil {
		return layout{}, nil, &ImageError{Target: importPath, Err: fmt.Errorf("laying it out: %w", err)}
	}
	return l, img, nil
}

// dataOf is the kodata of a program that is built from its own folder. That of
// a module which is only required is as its authors published it.
func (b *Builder) dataOf(dir, importPath string) (kodata, error) {
	if importPathOf(real(dir)) != importPath {
		return kodata{plain: true, unread: true}, nil
	}
	return readData(real(dir), b.workDir)
}

// config is how to build what is in dir: as its .ko.yaml says, for the box.
func (b *Builder) config(dir string) (*config, error) {
	cfg, err := load(dir)
	if err != nil {
		return nil, err
	}
	if b.delve != nil {
		cfg = cfg.debugging()
	}
	return cfg.inEnv(goenv.Services(b.platform.OS, b.platform.Architecture)), nil
}

// ListFlags are the flags and the environment with which `go list` sees the
// packages that Build compiles.
func (b *Builder) ListFlags(dir, importPath string) (flags, env []string, err error) {
	cfg, err := b.config(dir)
	if err != nil {
		return nil, nil, seenFrom(b.workDir, err)
	}
	flags, env = cfg.flags(importPath)
	return flags, env, nil
}

func (b *Builder) ko(ctx context.Context, cfg *config, importPath string) (v1.Image, error) {
	builder, err := ko.NewGobuilds(ctx, cfg.root, cfg.BuildConfigs,
		ko.WithBaseImages(func(ctx context.Context, ip string) (name.Reference, ko.Result, error) {
			return b.bases.get(ctx, cfg.base(strings.TrimPrefix(ip, ko.StrictScheme)), b.platform)
		}),
		ko.WithConfig(cfg.BuildConfigs),
		ko.WithDefaultEnv(cfg.DefaultEnv),
		ko.WithDefaultFlags(cfg.DefaultFlags),
		ko.WithDefaultLdflags(cfg.DefaultLdflags),
		ko.WithPlatforms(b.platform.String()),
		ko.WithTrimpath(false), // with it no plain build's cache entry would fit
		ko.WithDisabledSBOM(),
	)
	if err != nil {
		return nil, err
	}
	result, err := builder.Build(ctx, ko.StrictScheme+importPath)
	if err != nil {
		return nil, err
	}
	img, ok := result.(v1.Image)
	if !ok {
		mt, _ := result.MediaType()
		return nil, fmt.Errorf("the base image has several variants of %s: got a %s", b.platform, mt)
	}
	return img, nil
}

// compilerOutput cuts the go command's words out of ko's error, which is
// "...go build: exit status 1: <output>".
func compilerOutput(err error, exit *exec.ExitError) string {
	text := err.Error()
	if _, output, ok := strings.Cut(text, exit.Error()+": "); ok {
		return output
	}
	return text
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
