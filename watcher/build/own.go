package build

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// Own builds images of devbox's own programs. ko is
// not asked: parts of it go by this process's environment, which is the
// shell's, and that is meant for the user's builds.
type Own struct {
	dir      string // the module's root
	platform v1.Platform
	env      []string
	flags    []string
	base     v1.Image
}

// ownFlags are those of every build, beside what the environment has.
var ownFlags = []string{"-ldflags=-s -w"}

// NewOwn is for the module in dir, for an architecture, with flags for the go
// command besides those that all builds have.
func NewOwn(ctx context.Context, dir, arch string, flags ...string) (*Own, error) {
	platform := v1.Platform{OS: "linux", Architecture: arch}
	env, err := goenv.Own(ctx, platform.OS, platform.Architecture)
	if err != nil {
		return nil, err
	}
	base, err := staticBase(platform, zoneinfo(ctx))
	if err != nil {
		return nil, fmt.Errorf("making the base image: %w", err)
	}
	return &Own{dir: dir, platform: platform, env: env, flags: append(slices.Clone(ownFlags), flags...), base: base}, nil
}

// Key names the images of some main packages by all that they are made of: the
// build IDs of every package that the linker is given, how it is called, and
// the base image.
func (o *Own) Key(ctx context.Context, importPaths ...string) (string, error) {
	out, err := goenv.Output(o.goCommand(ctx, slices.Concat(
		[]string{"list", "-deps", "-export", "-f", "{{.ImportPath}} {{.BuildID}}"}, o.flags, importPaths)...))
	if err != nil {
		return "", fmt.Errorf("compiling the serving stack: %w", err)
	}
	base, err := o.base.Digest()
	if err != nil {
		return "", fmt.Errorf("summing up the base image: %w", err)
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s%s\n%s\n%s\n", out, o.flags, goenv.Fixed(o.platform.OS, o.platform.Architecture), base)
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}

// Build makes the image of a main package. What compiles it is stopped when
// ctx ends.
func (o *Own) Build(ctx context.Context, importPath string) (v1.Image, error) {
	tmp, err := makeTemp()
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	file := filepath.Join(tmp, "program")
	cmd := o.goCommand(ctx, slices.Concat([]string{"build", "-o", file}, o.flags, []string{importPath})...)
	cmd.Env = append(cmd.Env, "GOTMPDIR="+tmp) // a go command that is killed leaves its work folder
	if _, err := goenv.Output(cmd); err != nil {
		return nil, fmt.Errorf("compiling %s: %w", importPath, err)
	}
	program, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("compiling %s: %w", importPath, err)
	}
	img, err := withProgram(o.base, program, path.Join("/ko-app", path.Base(importPath)))
	if err != nil {
		return nil, fmt.Errorf("laying out the image of %s: %w", importPath, err)
	}
	return img, nil
}

func (o *Own) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := goenv.Command(ctx, args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), o.env...)
	return cmd
}

// withProgram is a base image with a program at a place, which it runs.
func withProgram(base v1.Image, program []byte, at string) (v1.Image, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := w.WriteHeader(&tar.Header{Name: at, Mode: 0o555, Size: int64(len(program))}); err != nil {
		return nil, err
	}
	if _, err := w.Write(program); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	img, err := mutate.Append(base, mutate.Addendum{
		Layer:   static.NewLayer(buf.Bytes(), types.OCIUncompressedLayer),
		History: v1.History{Author: "devbox", CreatedBy: "devbox", Comment: "go build output, at " + at},
	})
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.Config.Entrypoint = []string{at}
	return mutate.ConfigFile(img, cfg)
}
