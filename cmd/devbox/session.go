package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// session makes this process the one that deploys to a box, until end is
// called or the process ends, however it ends: two loops over one box would
// undo each other's work. It returns a *bootstrap.BusyError where another has
// the session. Commands that only look, and `devbox down`, need none.
func session(box string) (end func(), err error) {
	config, err := os.UserConfigDir()
	if err != nil {
		return nil, fmt.Errorf("finding the user's configuration directory: %w", err)
	}
	path := filepath.Join(config, "devbox", box+".session")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, unwritable(err)
	}
	for {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, unwritable(err)
		}
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			defer file.Close()
			return nil, busy(box, file, err)
		}
		if !isAt(path, file) {
			file.Close() // the session before this one removed it in between
			continue
		}
		if _, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())), 0); err != nil {
			file.Close()
			return nil, unwritable(err)
		}
		return func() {
			_ = os.Remove(path) // while it is locked, so that nobody locks a file that is gone
			file.Close()
		}, nil
	}
}

// busy says who has the session that file stands for.
func busy(box string, file *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("locking %s: %w", file.Name(), err)
	}
	pid, _ := io.ReadAll(file) // it is for the message alone
	return &bootstrap.BusyError{Name: box, PID: string(pid)}
}

// isAt says whether path still leads to file.
func isAt(path string, file *os.File) bool {
	held, err1 := file.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(held, there)
}

// unwritable says that there is no place to keep what is known of a box.
func unwritable(err error) error {
	return &problem{
		code:  codePrerequisite,
		cause: fmt.Errorf("writing to the configuration directory: %w", err),
		next:  "make it writable, or set XDG_CONFIG_HOME to a directory that is",
	}
}
