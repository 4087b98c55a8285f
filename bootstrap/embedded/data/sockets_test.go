package data

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSockets(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	killed, err := NewSockets(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(killed); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v, want a directory that nobody else can look into", info, err)
	}
	again, err := NewSockets(dir)
	if err != nil {
		t.Fatal(err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "sockets")); err != nil || to != again {
		t.Errorf("the link leads to %s, %v, want %s", to, err, again)
	}
	if _, err := os.Stat(killed); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what a killed process left is still there: %v", err)
	}
	for range 2 { // there is nothing to remove the second time
		if err := RemoveSockets(dir); err != nil {
			t.Error(err)
		}
	}
	for _, path := range []string{again, filepath.Join(dir, "sockets")} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}

// TestSocketsElsewhere has the link lead to what NewSockets did not make.
func TestSocketsElsewhere(t *testing.T) {
	dir, theirs := t.TempDir(), t.TempDir()
	file := filepath.Join(theirs, "file")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(theirs, filepath.Join(dir, "sockets"))); err != nil {
		t.Fatal(err)
	}
	if err := RemoveSockets(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("somebody's file is gone: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "sockets")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is still there: %v", err)
	}
}
