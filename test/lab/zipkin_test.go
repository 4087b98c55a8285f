package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSums(t *testing.T) {
	file := filepath.Join(t.TempDir(), "zipkin.jar")
	if err := os.WriteFile(file, []byte("not a server"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := sums(file, zipkinSum)
	if err == nil || !strings.Contains(err.Error(), zipkinSum) {
		t.Errorf("got %v, want an error with the sum that was expected", err)
	}
}

// A program's own libraries come with it; one that is nowhere fails the image
// and not a box.
func TestForeignLibraries(t *testing.T) {
	const program = "/bin/ls"
	names, err := needed(program)
	if err != nil {
		t.Fatal(err)
	}
	tr := newTree()
	tr.file(program, program, 0o755)
	if err := tr.addForeignLibraries(t.TempDir()); err == nil {
		t.Errorf("none of %v is there, and that is no error", names)
	}
	debian := t.TempDir()
	for _, name := range names {
		if filepath.IsAbs(name) { // the loader, which is always Debian's
			name = filepath.Join(debian, "usr", name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		tr.data("/opt/lib/"+name, 0o755, nil)
	}
	if err := tr.addForeignLibraries(debian); err != nil {
		t.Errorf("with all of %v brought along: %v", names, err)
	}
}
