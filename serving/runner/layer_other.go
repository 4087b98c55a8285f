//go:build !linux

package runner

import (
	"errors"

	"golang.org/x/sys/unix"
)

func makeFifo(path string) error { return unix.Mkfifo(path, 0o600) }

// There is no overlayfs here, so nobody asks for its marks.
func makeWhiteout(string) error { return errors.ErrUnsupported }
func makeOpaque(string) error   { return errors.ErrUnsupported }
