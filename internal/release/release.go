// Package release is what lies beside an installed devbox, and whether it is
// as it was released.
//
//	devbox           the command
//	box              the program that is an embedded box
//	images/          an OCI layout of the serving stack's images
//	completions/     for four shells
//	man/             a page a command
//	sbom.spdx.json   what both programs are made of
//	SHA256SUMS       of all of these, as sha256sum -c reads them
package release

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The names of files and folders that devbox itself looks for.
const (
	Command = "devbox"
	Box     = "box"
	Images  = "images"
	Sums    = "SHA256SUMS"
)

// Dir is the folder of a release.
type Dir string

// Beside is the release that the running program is part of. ok is false where
// it was not unpacked from one.
func Beside() (dir Dir, ok bool) {
	program, err := os.Executable()
	if err != nil {
		return "", false
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return "", false
	}
	dir = Dir(filepath.Dir(program))
	_, err = os.Stat(dir.Path(Sums))
	return dir, err == nil
}

// Path is where a file of the release lies.
func (d Dir) Path(name string) string { return filepath.Join(string(d), filepath.FromSlash(name)) }

// Check holds the files that lie at or below names, or all where there are
// none, against the list, and returns how many they are. The error has a line
// for each that is not as it was released.
func (d Dir) Check(names ...string) (files int, err error) {
	list, err := d.list()
	if err != nil {
		return 0, err
	}
	found := map[string]bool{}
	var wrong []error
	for _, f := range list {
		at := slices.IndexFunc(names, func(name string) bool { return f.name == name || strings.HasPrefix(f.name, name+"/") })
		if at < 0 && len(names) > 0 {
			continue
		}
		if at >= 0 {
			found[names[at]] = true
		}
		files++
		switch sum, err := sumOf(d.Path(f.name)); {
		case errors.Is(err, fs.ErrNotExist):
			wrong = append(wrong, fmt.Errorf("%s is missing", f.name))
		case err != nil:
			wrong = append(wrong, err)
		case sum != f.sum:
			wrong = append(wrong, fmt.Errorf("%s is not the file that was released: it is damaged, or of another version", f.name))
		}
	}
	for _, name := range names {
		if !found[name] {
			wrong = append(wrong, fmt.Errorf("%s lists no %s", d.Path(Sums), name))
		}
	}
	return files, errors.Join(wrong...)
}

type file struct{ sum, name string }

// list reads the checksums.
func (d Dir) list() ([]file, error) {
	f, err := os.Open(d.Path(Sums))
	if err != nil {
		return nil, fmt.Errorf("reading the release's checksums: %w", err)
	}
	defer f.Close()
	var list []file
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		sum, name, ok := strings.Cut(lines.Text(), "  ")
		if !ok || len(sum) != hex.EncodedLen(sha256.Size) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s:%d is no checksum of a file", d.Path(Sums), n)
		}
		list = append(list, file{sum, name})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the release's checksums: %w", err)
	}
	if !slices.ContainsFunc(list, func(f file) bool { return f.name == Command }) {
		return nil, fmt.Errorf("%s does not list %s: it is half a file", d.Path(Sums), Command)
	}
	return list, nil
}

// WriteSums writes the checksums of all files below the folder, the command's
// last: a list that has its line is a whole one.
func (d Dir) WriteSums() error {
	var lines, last strings.Builder
	err := fs.WalkDir(os.DirFS(string(d)), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || name == Sums {
			return err
		}
		sum, err := sumOf(d.Path(name))
		to := &lines
		if name == Command {
			to = &last
		}
		fmt.Fprintf(to, "%s  %s\n", sum, name)
		return err
	})
	if err != nil {
		return fmt.Errorf("listing the files of a release: %w", err)
	}
	if err := os.WriteFile(d.Path(Sums), []byte(lines.String()+last.String()), 0o644); err != nil {
		return fmt.Errorf("writing the release's checksums: %w", err)
	}
	return nil
}

func sumOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading a file of the release: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return "", fmt.Errorf("reading a file of the release: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
