package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"
)

// pack writes a folder's files to a compressed archive, below a folder called
// root: in the order of their names, all of one time and of nobody.
func pack(to, dir, root string, at time.Time) (err error) {
	f, err := os.Create(to)
	if err != nil {
		return fmt.Errorf("writing an archive: %w", err)
	}
	defer func() {
		if closing := f.Close(); err == nil && closing != nil {
			err = fmt.Errorf("writing an archive: %w", closing)
		}
	}()
	compressed, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return fmt.Errorf("writing an archive: %w", err)
	}
	w := tar.NewWriter(compressed)
	err = fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		return add(w, filepath.Join(dir, name), path.Join(root, name), at)
	})
	if err != nil {
		return fmt.Errorf("writing an archive: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("writing an archive: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return fmt.Errorf("writing an archive: %w", err)
	}
	return nil
}

// add writes one file.
func add(w *tar.Writer, file, name string, at time.Time) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o100 != 0 {
		mode = 0o755
	}
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: info.Size(), ModTime: at, Format: tar.FormatPAX}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}
