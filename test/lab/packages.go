package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
)

// debianPackages are Debian packages unpacked into root/, without the packages
// that they depend on and without being set up: images take files out of them.
func debianPackages(name string, packages ...string) recipe {
	return recipe{
		name:  name,
		text:  append([]string{suite}, packages...),
		files: []string{"packages.go"},
		build: func(ctx context.Context, b *bench) error {
			if err := download(ctx, b, packages); err != nil {
				return err
			}
			archives, err := filepath.Glob(filepath.Join(b.scratch, "*.deb"))
			if err != nil {
				return err
			}
			for _, archive := range archives {
				if err := b.run(b.command(ctx, "dpkg-deb", "--extract", archive, filepath.Join(b.dir, "root"))); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// download fetches packages into the scratch folder. A list of packages that
// is too old names files that the mirror no longer has; then it is renewed.
func download(ctx context.Context, b *bench, packages []string) error {
	fetch := func() error {
		cmd := b.command(ctx, "apt-get", append([]string{"download", "-qq"}, packages...)...)
		cmd.Dir = b.scratch
		return b.run(cmd)
	}
	if fetch() == nil {
		return nil
	}
	if err := b.run(b.command(ctx, "apt-get", "update", "-qq")); err != nil {
		return err
	}
	return fetch()
}

// addUnder adds folders and files of a root file system as they are, with all
// that is in them.
func (t *tree) addUnder(root string, paths ...string) error {
	for _, path := range paths {
		err := filepath.WalkDir(filepath.Join(root, path), func(file string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return t.addAsIs(strings.TrimPrefix(file, root), file)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
