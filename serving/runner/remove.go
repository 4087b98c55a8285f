package runner

import (
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
)

// Remove removes dir, which a Runner had, and ends the processes that it left
// if it was killed. A Runner that lives keeps it from doing so.
func Remove(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "running")); err != nil {
		return os.RemoveAll(dir) // no Runner has been here
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	if err := sweep(filepath.Join(dir, "running"), slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the runner's directory: %w", err)
	}
	return nil
}

// RemoveAll removes a directory with all that is in it, also where an image or
// a process made directories that not even their owner may change.
func RemoveAll(dir string) error {
	err := os.RemoveAll(dir)
	if err == nil || !os.IsPermission(err) {
		return err
	}
	_ = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			_ = os.Chmod(path, 0o700) // RemoveAll says what could not be helped
		}
		return nil
	})
	return os.RemoveAll(dir)
}
