package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// addLibraries adds what the tree's programs and plug-ins need to start: the
// shared libraries they name, those that these name in turn, and the loader,
// all taken from a Debian root file system. It fails on one that is not there:
// a plug-in that cannot be loaded is found out only when it is used.
func (t *tree) addLibraries(root string) error {
	t.link("/lib", "usr/lib")
	t.link("/lib64", "usr/lib64")
	var todo []string
	for _, n := range t.nodes {
		if n.mode.IsRegular() && n.source != "" {
			todo = append(todo, n.source)
		}
	}
	slices.Sort(todo)
	seen := map[string]bool{}
	for len(todo) > 0 {
		file := todo[0]
		todo = todo[1:]
		names, err := needed(file)
		if err != nil {
			return fmt.Errorf("reading what %s needs: %w", file, err)
		}
		for _, name := range names {
			if seen[name] {
				continue
			}
			seen[name] = true
			library, source, err := findLibrary(root, name)
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			t.file(library, source, 0o755)
			todo = append(todo, source)
		}
	}
	return nil
}

// needed lists the libraries, by name, and the loader, by path, of an ELF file;
// nothing of any other file or of a static program.
func needed(file string) ([]string, error) {
	f, err := elf.Open(file)
	var notELF *elf.FormatError
	if errors.As(err, &notELF) || errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	for _, segment := range f.Progs {
		if segment.Type == elf.PT_INTERP {
			loader, err := io.ReadAll(segment.Open())
			if err != nil {
				return nil, err
			}
			names = append(names, strings.TrimRight(string(loader), "\x00"))
		}
	}
	return names, nil
}

// findLibrary finds a library by name, or the loader by path, in a root file
// system: where it goes in an image and the file itself.
func findLibrary(root, name string) (inImage, source string, err error) {
	patterns := []string{"/usr/lib/*-linux-gnu/" + name, "/usr/lib/" + name}
	if path.IsAbs(name) { // the loader: /lib64/ld-linux-x86-64.so.2, where /lib64 is /usr/lib64
		patterns = []string{"/usr" + name}
	}
	for _, pattern := range patterns {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return "", "", err
		}
		if len(matches) > 0 {
			source, err := inside(root, matches[0])
			return strings.TrimPrefix(matches[0], root), source, err
		}
	}
	return "", "", fmt.Errorf("finding library %s: %w", name, fs.ErrNotExist)
}

// inside follows symbolic links as the root file system's own programs would:
// an absolute target starts at the root, not at this machine's.
func inside(root, file string) (string, error) {
	for range 16 {
		info, err := os.Lstat(file)
		if err != nil || info.Mode()&fs.ModeSymlink == 0 {
			return file, err
		}
		target, err := os.Readlink(file)
		if err != nil {
			return "", err
		}
		if filepath.IsAbs(target) {
			file = filepath.Join(root, target)
		} else {
			file = filepath.Join(filepath.Dir(file), target)
		}
	}
	return "", fmt.Errorf("following %s: too many links", file)
}
