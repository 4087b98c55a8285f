package build

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DataError says what is wrong with a file of a kodata folder.
type DataError struct {
	File string
	Err  error
}

func (e *DataError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *DataError) Unwrap() error { return e.Err }

// kodata is the kodata folder of a main package, with its links followed.
type kodata struct {
	entries []dataEntry // in the order in which ko comes to them
	// elsewhere are the files and folders outside of it that links lead to.
	elsewhere []string
	// plain says that ko, which follows no link that leads out of the folder and
	// opens whatever is in it, makes the same of it.
	plain bool
	// unread says that there is more than is known here.
	unread bool
}

// dataEntry is a file or a folder of kodata.
type dataEntry struct {
	name string // in the image, below $KO_DATA_PATH
	path string // where a file really lies; empty for a folder
}

// Data are the files and folders outside a main package's kodata folder that
// links in it lead to, and so belong to it: those that lie in the source tree.
// Any other link is a *DataError, with paths as seen from workDir, which is
// where the developer is.
func Data(dir, workDir string) ([]string, error) {
	data, err := readData(real(dir), workDir)
	return data.elsewhere, err
}

func readData(dir, workDir string) (kodata, error) {
	root := filepath.Join(dir, "kodata")
	w := dataWalk{
		data:  kodata{plain: true},
		trees: sourceTrees(dir, workDir), show: func(path string) string { return relative(workDir, path) },
	}
	if _, err := os.Lstat(root); err != nil {
		return w.data, nil // it has none
	}
	err := w.add(root, "", nil)
	return w.data, err
}

// dataWalk goes through a kodata folder.
type dataWalk struct {
	data  kodata
	trees []string
	show  func(path string) string
}

// add takes in a path, as name in the image, having come through folders.
func (w *dataWalk) add(path, name string, folders []string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return &DataError{w.show(path), err}
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if path, info, err = w.follow(path, name == "", folders); err != nil {
			return err
		}
	}
	switch {
	case info.Mode().IsRegular():
		if name != "" { // a file in place of the folder is of no use to ko
			w.data.entries = append(w.data.entries, dataEntry{name, path})
		}
		return nil
	case !info.IsDir():
		w.data.plain = false // a pipe or a socket, which nobody wants in an image
		return nil
	}
	if name != "" {
		w.data.entries = append(w.data.entries, dataEntry{name: name})
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return &DataError{w.show(path), err}
	}
	for _, e := range entries {
		if err := w.add(filepath.Join(path, e.Name()), filepath.Join(name, e.Name()), append(slices.Clip(folders), path)); err != nil {
			return err
		}
	}
	return nil
}

// follow is what a link leads to: something in the source tree, and not a
// folder that it lies in.
func (w *dataWalk) follow(link string, top bool, folders []string) (string, fs.FileInfo, error) {
	name := w.show(link)
	to, err := filepath.EvalSymlinks(link)
	if err != nil {
		target, _ := os.Readlink(link)
		return "", nil, &DataError{name, fmt.Errorf("this link leads to %s, which is not there", target)}
	}
	if slices.Contains(folders, to) {
		return "", nil, &DataError{name, fmt.Errorf("this link leads to %s, in which it lies", w.show(to))}
	}
	if len(folders) > 0 && within(folders[0], to) {
		info, err := os.Stat(to)
		return to, info, err
	}
	if !slices.ContainsFunc(w.trees, func(tree string) bool { return within(tree, to) }) {
		return "", nil, &DataError{name, fmt.Errorf("this link leads to %s, outside of the source tree %s: an image takes in nothing from there", to, w.trees[0])}
	}
	w.data.plain, w.data.elsewhere = false, append(w.data.elsewhere, to)
	info, err := os.Stat(to)
	return to, info, err
}

// sourceTrees are what is a program's own to take files from: the git work
// tree, or the module, and the folder its developer works in.
func sourceTrees(dir, workDir string) []string {
	dir = real(dir)
	trees := []string{dir}
	for at := dir; ; at = filepath.Dir(at) {
		if exists(filepath.Join(at, "go.mod")) && trees[0] == dir {
			trees[0] = at
		}
		if git, err := os.Lstat(filepath.Join(at, ".git")); err == nil && (git.IsDir() || !isSubmodule(at)) {
			trees[0] = at
			break
		}
		if at == filepath.Dir(at) {
			break
		}
	}
	if workDir != "" && within(real(workDir), dir) {
		trees = append(trees, real(workDir))
	}
	return trees
}

// isSubmodule says whether the work tree at a folder is a submodule of the one
// around it.
func isSubmodule(dir string) bool {
	data, err := os.ReadFile(filepath.Join(dir, ".git"))
	return err == nil && strings.Contains(filepath.ToSlash(string(data)), "/modules/")
}

func real(path string) string {
	if to, err := filepath.EvalSymlinks(path); err == nil {
		return to
	}
	return path
}

// within says whether path is dir or lies below it.
func within(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// standIn lays out a module of one package that has the import path of the
// program and its data, for ko to find kodata in. The program itself is
// compiled where it lies.
func (d kodata) standIn(dir, importPath string) error {
	for name, content := range map[string]string{"go.mod": "module " + importPath + "\n", "main.go": "package main\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	for _, e := range append([]dataEntry{{}}, d.entries...) { // kodata itself first
		to := filepath.Join(dir, "kodata", e.name)
		if e.path == "" {
			if err := os.Mkdir(to, 0o700); err != nil {
				return err
			}
			continue
		}
		if err := os.Link(e.path, to); err == nil {
			continue
		}
		if err := copyFile(e.path, to); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		_ = target.Close() // the first error is the one that counts
		return err
	}
	return target.Close()
}
