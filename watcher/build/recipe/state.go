package recipe

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/watcher/graph"
)

// State is what the files that a program is made of hold, by path.
type State map[string]file

// file is what one holds.
type file struct {
	sum   [sha256.Size]byte // zero where it is not there
	shape [sha256.Size]byte // of a Go file: see graph.Shape
	body  bool              // it is a Go file that the compiler alone is given
}

// Changed says, in words, why a program cannot be made from what the go
// command said when the files held what they did before; it is empty where
// nothing but what is in Go files between their imports and their end has
// changed. Files are named as show says.
func Changed(before, now State, show func(path string) string) (why string) {
	for _, path := range slices.Sorted(maps.Keys(union(before, now))) {
		was, known := before[path]
		is, there := now[path]
		switch {
		case known && there && was.sum == is.sum:
		case !known || was.sum == [sha256.Size]byte{}:
			return show(path) + " is new"
		case !there || is.sum == [sha256.Size]byte{}:
			return show(path) + " is gone"
		case !was.body:
			return show(path) + " has changed"
		case was.shape != is.shape:
			return "the package, the imports or a directive of " + show(path) + " have changed"
		}
	}
	return ""
}

func union(a, b State) State {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

// watched are the files that decide on a program.
type watched struct {
	bodies map[string]bool // Go files that the compiler alone is given
	dirs   []string        // of packages: what is in them is compiled, or may be
	frame  []string        // files elsewhere, whether they are there or not
	tools  []string        // programs, which are known by their size and age
	embeds []graph.Package
}

// mostEmbedded is how many files a program may embed to be made by a recipe:
// all are read at each edit.
const mostEmbedded = 4096

// look reads all there is. Every file is read, as the go command reads those
// of the modules on this machine: a time stamp does not tell two saves in one
// tick of the clock apart, nor a clock that is set back. What before knows in
// the same words is not parsed again.
func (w *watched) look(before State) (State, error) {
	now := State{}
	for _, dir := range w.dirs {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a folder that is gone is files that are
			return nil, fmt.Errorf("reading a package's folder: %w", err)
		}
		for _, e := range entries {
			if name := e.Name(); graph.Compiled(name) || filepath.Ext(name) == ".pgo" {
				path := filepath.Join(dir, name)
				now[path] = read(path, w.bodies[path], before[path])
			}
		}
	}
	for _, p := range w.embeds {
		files, ok := p.Embeddable(mostEmbedded)
		if !ok {
			return nil, fmt.Errorf("%s embeds more than %d files", p.ImportPath, mostEmbedded)
		}
		for _, path := range files {
			if _, known := now[path]; !known {
				now[path] = read(path, false, file{})
			}
		}
	}
	for _, path := range w.frame {
		now[path] = read(path, false, file{})
	}
	for _, path := range w.tools {
		now[path] = age(path)
	}
	return now, nil
}

func read(path string, body bool, before file) file {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() { // to open a pipe would wait for who writes to it
		return file{body: body}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return file{body: body}
	}
	now := file{sum: sha256.Sum256(data), body: body}
	if !body {
		return now
	}
	if now.shape = before.shape; before.sum != now.sum {
		now.shape = graph.Shape(data)
	}
	return now
}

func age(path string) file {
	info, err := os.Stat(path)
	if err != nil {
		return file{}
	}
	return file{sum: sha256.Sum256(fmt.Append(nil, info.Size(), info.ModTime().UnixNano()))}
}

// above are the files of a name in a folder and those around it, up to a
// root: one that is made there would make another module or workspace of what
// lies below.
func above(dir, root, name string) []string {
	var files []string
	for at := dir; ; at = filepath.Dir(at) {
		files = append(files, filepath.Join(at, name))
		if at == root || at == filepath.Dir(at) {
			return files
		}
	}
}

// besides are the file a path names and those of other names that lie by it.
func besides(path string, names ...string) []string {
	if path == "" || path == os.DevNull || path == "off" {
		return nil
	}
	files := []string{path}
	for _, name := range names {
		files = append(files, filepath.Join(filepath.Dir(path), name))
	}
	return files
}

// isPlain says whether all of a package's files are Go's, so that the
// compiler alone makes its archive.
func isPlain(p listed, a *action) bool {
	other := len(p.CgoFiles) + len(p.CFiles) + len(p.CXXFiles) + len(p.SFiles) + len(p.SysoFiles)
	if a == nil || other > 0 || len(a.files) != len(p.GoFiles) || slices.Contains(a.args, "-symabis") {
		return false
	}
	for i, name := range p.GoFiles {
		if a.files[i] != filepath.Join(p.Dir, name) {
			return false
		}
	}
	ours := a.with(map[string]string{"-o": "", "-trimpath": a.trimpath(""), "-importcfg": "", "-embedcfg": ""})
	return !slices.ContainsFunc(ours, func(arg string) bool { return strings.Contains(arg, "$WORK") })
}
