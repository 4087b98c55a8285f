package data

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// socketsPrefix begins the name of every directory that NewSockets makes.
const socketsPrefix = "devbox-sockets-"

// NewSockets makes a directory that nobody else can look into, for sockets,
// whose paths must be short: it is a temporary one, and a link in dir leads to
// it. The one that an earlier, killed process left is removed.
func NewSockets(dir string) (string, error) {
	if err := RemoveSockets(dir); err != nil {
		return "", err
	}
	sockets, err := os.MkdirTemp("", socketsPrefix)
	if err != nil {
		return "", fmt.Errorf("making a directory for sockets: %w", err)
	}
	if err := os.Symlink(sockets, filepath.Join(dir, "sockets")); err != nil {
		return "", fmt.Errorf("noting the directory of the sockets: %w", err)
	}
	return sockets, nil
}

// RemoveSockets removes what NewSockets made for dir, if anything.
func RemoveSockets(dir string) error {
	link := filepath.Join(dir, "sockets")
	sockets, err := os.Readlink(link)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && strings.HasPrefix(filepath.Base(sockets), socketsPrefix) {
		err = os.RemoveAll(sockets)
	}
	if err := errors.Join(err, os.Remove(link)); err != nil {
		return fmt.Errorf("removing the sockets of an earlier process: %w", err)
	}
	return nil
}
