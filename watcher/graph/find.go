package graph

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Found are the packages below a folder.
type Found struct {
	// Packages are those of the module or the workspace that the folder is in,
	// and Nested those of modules below it that are neither.
	Packages, Nested []Package
	// Apart are the folders of modules below it that its workspace does not
	// use, so that the go command builds nothing of them.
	Apart []string
	// Err is the go command's reason where it knows no module at all.
	Err error
}

// Below asks the go command for all packages below a folder. Its own pattern
// for that, ./..., ends where another module begins, also where a workspace
// has both.
func Below(ctx context.Context, root string) (Found, error) {
	var found Found
	found.Packages, found.Err = below(ctx, root)
	nested, err := nestedModules(root)
	if err != nil || len(nested) == 0 {
		return found, err
	}
	asked, err := run(ctx, root, nil, "env", "GOWORK")
	if err != nil {
		return found, err
	}
	workspace := strings.TrimSpace(string(asked))
	for _, dir := range nested {
		packages, err := below(ctx, dir)
		switch {
		case workspace == "" || workspace == "off":
			found.Nested = append(found.Nested, packages...)
		case err != nil:
			found.Apart = append(found.Apart, dir)
		default:
			found.Packages = append(found.Packages, packages...)
		}
	}
	return found, nil
}

// below are the packages of one module in a folder. An error about no package
// of it is about the module.
func below(ctx context.Context, dir string) ([]Package, error) {
	packages, err := Find(ctx, dir, "./...")
	if err != nil {
		return nil, err
	}
	for _, p := range packages {
		if p.Dir == "" && p.Error != nil {
			err = errors.Join(err, errors.New(p.Error.Err))
		}
	}
	return slices.DeleteFunc(packages, func(p Package) bool { return p.Dir == "" }), err
}

// nestedModules are the folders below one with a go.mod of their own, but for
// those in which the go command looks for no packages either, and those of
// JavaScript's packages.
func nestedModules(root string) ([]string, error) {
	root = resolve(root)
	var modules []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch name := d.Name(); {
		case errors.Is(err, fs.ErrPermission):
			return fs.SkipDir
		case err != nil:
			return err
		case !d.IsDir() || path == root:
			return nil
		case strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || slices.Contains([]string{"node_modules", "testdata", "vendor"}, name):
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil {
			modules = append(modules, path)
		}
		return nil
	})
	return modules, err
}
