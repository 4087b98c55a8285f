package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// Listing is what the go command says a main package is made from.
type Listing struct {
	Packages  []Package
	Workspace string // go.work, if one is in force
	Apart     bool   // the environment says that no workspace is to count
	Settings  string // the file that `go env -w` writes, whether it is there or not
}

// Package is a package, in the go command's words. One that is imported and
// not there has no Dir.
type Package struct {
	ImportPath string
	Dir        string
	Name       string
	Standard   bool
	Module     *Module
	Error      *PackageError

	GoFiles, CgoFiles, IgnoredGoFiles           []string
	CFiles, CXXFiles, HFiles, SFiles, SysoFiles []string
	EmbedFiles, EmbedPatterns                   []string
}

// Module is the module of a package.
type Module struct {
	Path    string
	Main    bool
	Dir     string
	Replace *Module
	Version string
}

// PackageError is why a package cannot be loaded whole.
type PackageError struct{ Err string }

// fields are what List asks for; asking for less is quicker.
const fields = "-json=ImportPath,Dir,Name,Standard,Module,Error,GoFiles,CgoFiles,IgnoredGoFiles," +
	"CFiles,CXXFiles,HFiles,SFiles,SysoFiles,EmbedFiles,EmbedPatterns"

// List asks the go command, with the flags and environment of the build, for
// a package and all that it imports. Code that does not compile is listed as
// far as it can be read.
func List(ctx context.Context, dir, importPath string, flags, env []string) (Listing, error) {
	out, err := run(ctx, dir, env, slices.Concat([]string{"list", "-e", "-deps", fields}, flags, []string{"--", importPath})...)
	if err != nil {
		return Listing{}, fmt.Errorf("listing the packages of %s: %w", importPath, err)
	}
	packages, err := decode(out)
	if err != nil {
		return Listing{}, fmt.Errorf("listing the packages of %s: %w", importPath, err)
	}
	asked, err := run(ctx, dir, env, "env", "GOWORK", "GOENV")
	if err != nil {
		return Listing{}, fmt.Errorf("asking for the workspace of %s: %w", importPath, err)
	}
	workspace, settings, _ := strings.Cut(strings.TrimSuffix(string(asked), "\n"), "\n")
	l := Listing{Packages: packages, Workspace: workspace, Settings: settings}
	if workspace == "off" {
		l.Workspace, l.Apart = "", true
	}
	if settings == "off" {
		l.Settings = ""
	}
	return l, nil
}

// Find asks the go command for the packages that a pattern names, without
// what they import, as a box of this machine has them.
func Find(ctx context.Context, dir, pattern string) ([]Package, error) {
	out, err := run(ctx, dir, goenv.Services("linux", runtime.GOARCH), "list", "-e", "-json=ImportPath,Dir,Name,Module,Error,GoFiles", "--", pattern)
	if err != nil {
		return nil, err
	}
	return decode(out)
}

// decode reads the output of `go list -json`.
func decode(out []byte) ([]Package, error) {
	var packages []Package
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p Package
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, err
		}
		packages = append(packages, p)
	}
}

// run asks the go command in a folder, which it is told by the name without
// links: by that it names what is in it.
func run(ctx context.Context, dir string, env []string, args ...string) ([]byte, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	cmd := goenv.Command(ctx, args...)
	cmd.Dir = resolve(dir)
	cmd.Env = slices.Concat(os.Environ(), env, []string{"PWD=" + cmd.Dir})
	return goenv.Output(cmd)
}
