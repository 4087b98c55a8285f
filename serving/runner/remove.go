package runner

import (
	"io/fs"
	"os"
	"path/filepath"
)

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
