package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Named says whether a file of this name can be a manifest: what kubectl
// reads, but for what editors and tools keep under a hidden name.
func Named(name string) bool {
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") {
		return false
	}
	switch filepath.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return false
}

// Files are the paths in a folder that can be manifests, in the order of
// their names. A folder that is not there has none.
func Files(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading a directory of manifests: %w", err)
	}
	var files []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		// Opening a pipe waits for who writes to it, so ordinary files only.
		if info, err := os.Stat(path); Named(e.Name()) && err == nil && info.Mode().IsRegular() {
			files = append(files, path)
		}
	}
	return files, nil
}

// Read reads the manifests that lie directly in dir. What cannot be read is a
// Problem of the Set; the error is about dir itself.
func Read(dir string) (*Set, error) {
	files, err := Files(dir)
	if err != nil {
		return nil, err
	}
	var all []File
	var unread []Problem
	for _, file := range files {
		data, err := os.ReadFile(file)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone since it was listed
		case err != nil:
			unread = append(unread, Problem{File: file, Words: "reading it: " + err.Error()})
		default:
			all = append(all, File{file, data})
		}
	}
	s := Decode(all)
	s.Problems = append(unread, s.Problems...)
	return s, nil
}

// File is a file of manifests, wherever it comes from.
type File struct {
	Path string
	Data []byte
}

// Decode reads files that belong together.
func Decode(files []File) *Set {
	s := &Set{}
	patches := map[string]bool{}
	for _, f := range files {
		for _, patch := range patchesOf(f.Path, f.Data) {
			patches[filepath.Join(filepath.Dir(f.Path), patch)] = true
		}
		s.add(f.Path, f.Data)
	}
	s.withoutPatches(patches)
	s.withoutTwins()
	slices.SortStableFunc(s.Objects, func(a, b Object) int { return cmp.Compare(rank(a), rank(b)) })
	return s
}

// add reads one file into the set.
func (s *Set) add(file string, data []byte) {
	part := decode(file, data)
	if len(part.Objects) == 0 && len(part.Problems) == 0 && len(part.LeftOut) == 0 {
		// A file is empty for a moment while some editors save it.
		part.LeftOut = []LeftOut{{File: file, Why: "it is empty", unread: len(data) == 0}}
	}
	s.Objects = append(s.Objects, part.Objects...)
	s.Problems = append(s.Problems, part.Problems...)
	for _, l := range part.LeftOut {
		if !slices.Contains(s.LeftOut, l) {
			s.LeftOut = append(s.LeftOut, l)
		}
	}
}

// withoutPatches leaves out what a kustomization lays over other objects:
// such a file looks like an object and is a part of one.
func (s *Set) withoutPatches(patches map[string]bool) {
	left := map[string]bool{}
	s.Objects = slices.DeleteFunc(s.Objects, func(o Object) bool {
		if patches[o.File] && !left[o.File] {
			left[o.File] = true
			s.LeftOut = append(s.LeftOut, LeftOut{File: o.File, Why: "it is a patch of the kustomization beside it"})
		}
		return patches[o.File]
	})
}

// withoutTwins keeps the first of several documents that are one object.
func (s *Set) withoutTwins() {
	seen := map[Key]Object{}
	s.Objects = slices.DeleteFunc(s.Objects, func(o Object) bool {
		key := KeyOf(o.Unstructured)
		key.Namespace = cmp.Or(key.Namespace, metav1.NamespaceDefault) // which it is in where it names none
		first, twin := seen[key]
		if !twin {
			seen[key] = o
			return false
		}
		s.Problems = append(s.Problems, Problem{
			File: o.File, Document: o.Document, Line: o.Line,
			Words: fmt.Sprintf("%s is at %s:%d too: keep one of them", o.Title(), filepath.Base(first.File), first.Line),
		})
		return true
	})
}
