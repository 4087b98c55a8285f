package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A goModule is a folder with the go.mod that pins one set of upstreams. Those
// that cannot share a module graph have a module each.
type goModule struct {
	dir       string // relative to the lab
	toolchain string // what `go` builds it with
	mod       *modfile.File
}

// openModules reads the modules in the lab's folder.
func openModules(ctx context.Context, files fs.FS, dirs ...string) (map[string]goModule, error) {
	modules := map[string]goModule{}
	for _, dir := range dirs {
		module, err := openModule(ctx, files, dir)
		if err != nil {
			return nil, err
		}
		modules[dir] = module
	}
	return modules, nil
}

func openModule(ctx context.Context, files fs.FS, dir string) (goModule, error) {
	name := path.Join(dir, "go.mod")
	data, err := fs.ReadFile(files, name)
	if err != nil {
		return goModule{}, fmt.Errorf("reading a pinned module (run the lab in test/lab): %w", err)
	}
	mod, err := modfile.ParseLax(name, data, nil)
	if err != nil {
		return goModule{}, err
	}
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return goModule{}, fmt.Errorf("asking which Go builds %s: %w", name, err)
	}
	return goModule{dir: dir, toolchain: string(out), mod: mod}, nil
}

// version is the pinned version of one upstream.
func (m goModule) version(module string) (string, error) {
	for _, require := range m.mod.Require {
		if require.Mod.Path == module {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s/go.mod does not require %s", m.dir, module)
}

// source returns the folder with an upstream's source, fetching it if need be.
func (m goModule) source(ctx context.Context, b *bench, module string) (string, error) {
	version, err := m.version(module)
	if err != nil {
		return "", err
	}
	if err := b.run(m.goCommand(ctx, b, "mod", "download", module+"@"+version)); err != nil {
		return "", err
	}
	out, err := b.output(m.goCommand(ctx, b, "list", "-m", "-f", "{{.Dir}}", module))
	return strings.TrimSpace(string(out)), err
}

func (m goModule) goCommand(ctx context.Context, b *bench, args ...string) *exec.Cmd {
	cmd := b.command(ctx, "go", args...)
	cmd.Dir = m.dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	return cmd
}

// programs are the main packages of one module that are built with the same
// settings, each into a file named like the package's folder.
type programs struct {
	name     string
	module   goModule
	packages []string
	stamp    map[string]string // string variables that the linker sets
	tags     string
	static   bool     // with cgo, linked statically; otherwise without cgo
	debian   []string // what cgo needs on this machine
	files    []string // sources, for packages of this module itself
}

func (p programs) recipe() recipe {
	args := p.args()
	return recipe{
		name:  p.name + " programs",
		text:  append([]string{p.module.toolchain}, args...),
		files: append([]string{path.Join(p.module.dir, "go.mod"), path.Join(p.module.dir, "go.sum")}, p.files...),
		build: func(ctx context.Context, b *bench) error {
			if err := b.packages(ctx, p.debian...); err != nil {
				return err
			}
			cmd := p.module.goCommand(ctx, b, append([]string{"build", "-o", b.dir + "/"}, args...)...)
			cmd.Env = append(cmd.Env, "CGO_ENABLED="+map[bool]string{true: "1", false: "0"}[p.static])
			return b.run(cmd)
		},
	}
}

// args are the arguments of `go build` after the output.
func (p programs) args() []string {
	ldflags := "-s -w"
	for _, variable := range slices.Sorted(maps.Keys(p.stamp)) {
		ldflags += " -X " + variable + "=" + p.stamp[variable]
	}
	if p.static {
		ldflags += " -extldflags=-static"
	}
	args := []string{"-trimpath", "-buildvcs=false", "-tags", p.tags, "-ldflags", ldflags}
	return append(args, p.packages...)
}
