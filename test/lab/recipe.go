package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A recipe makes one folder of the cache out of what it names here. What it
// does not name must not change the result.
type recipe struct {
	name  string
	needs []*artefact // made before it; build reads them through their paths
	text  []string    // versions, flags, lists of packages
	files []string    // files of this folder: modules, requirements, the recipe's own source
	build func(context.Context, *bench) error
}

// hash names the recipe's result before it exists: a hash of all that goes in.
func (r recipe) hash(files fs.FS) (string, error) {
	h := sha256.New()
	add := func(label, value string) {
		fmt.Fprintf(h, "%q %q\n", label, value)
	}
	add("name", r.name)
	for _, text := range r.text {
		add("text", text)
	}
	for _, name := range r.files {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return "", fmt.Errorf("reading an input of %s: %w", r.name, err)
		}
		add("file "+name, string(data))
	}
	for _, need := range r.needs {
		add("need "+need.name, need.key)
	}
	return hex.EncodeToString(h.Sum(nil))[:16], nil
}

// An artefact is the folder that a recipe makes, or made in an earlier run.
type artefact struct {
	recipe
	key string // the recipe's hash
	dir string
}

// present says whether the artefact has been made.
func (a *artefact) present() bool {
	_, err := os.Stat(a.dir)
	return err == nil
}

// path names a file of the artefact.
func (a *artefact) path(elem ...string) string {
	return filepath.Join(append([]string{a.dir}, elem...)...)
}
