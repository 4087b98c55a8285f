package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// TestPackedAlike: who made the files, when and in which order does not change
// the archive.
func TestPackedAlike(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var archives [][]byte
	for _, names := range [][]string{{"b", "a/c"}, {"a/c", "b"}} {
		dir := t.TempDir()
		for _, name := range names {
			path := filepath.Join(dir, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(name), 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		to := filepath.Join(t.TempDir(), "archive")
		if err := pack(to, dir, "root", at); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("two archives of the same files differ")
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(archives[0]))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Mode != 0o755 || h.Uid != 0 || !h.ModTime.Equal(at) {
			t.Errorf("%+v", h)
		}
		names = append(names, h.Name)
	}
	if want := []string{"root/a/c", "root/b"}; !slices.Equal(names, want) {
		t.Errorf("packed %v, want %v", names, want)
	}
}
