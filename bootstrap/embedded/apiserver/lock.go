package apiserver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// format is the layout of a Server's directory. It grows when an older devbox
// could no longer read what this one writes.
const format = 1

// ErrInUse says that another process has the directory.
var ErrInUse = errors.New("another process is using it")

// lock takes dir for this process, until unlock or the process ends.
func lock(dir string) (unlock func() error, err error) {
	file, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	if err := checkFormat(filepath.Join(dir, "format")); err != nil {
		file.Close()
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	return file.Close, nil // which unlocks
}

// checkFormat refuses a directory from a devbox newer than this one, before
// anything in it is touched.
func checkFormat(file string) error {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return write(file, []byte(strconv.Itoa(format)+"\n"))
	}
	if err != nil {
		return err
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return fmt.Errorf("reading its format: %w", err)
	}
	if have > format {
		return fmt.Errorf("it was written by a newer devbox (format %d, this one knows %d)", have, format)
	}
	return nil
}

// write writes a file that its owner alone may read, all of it or nothing: a
// Server that is killed while it starts for the first time leaves no half of
// a key.
func write(file string, data []byte) error {
	tmp := file + ".new" // nobody else writes here, see lock
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
