package bootstrap

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Session makes this process the one that deploys to a box, until end is
// called or the process ends, however it ends: two loops over one box would
// undo each other's work. It returns a *BusyError where another has the
// session. Up and Down need none; they keep to themselves while they work.
func Session(name string) (end func(), err error) { return hold(name, ".session") }

// lock makes this process the only one that makes or unmakes a box until
// unlock is called. It returns a *BusyError where another has the lock.
func lock(name string) (unlock func(), err error) { return hold(name, ".lock") }

// hold locks the file of a box that ends in suffix, until release is called
// or the process ends, however it ends.
func hold(name, suffix string) (release func(), err error) {
	dir, err := dirOf(name)
	if err != nil {
		return nil, err
	}
	parent, err := Root()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, unwritable(parent, err)
	}
	path := dir + suffix
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, unwritable(parent, err)
		}
		if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			defer f.Close()
			return nil, busy(name, f, err)
		}
		if !still(path, f) {
			f.Close() // its last owner removed it in between
			continue
		}
		if err := errors.Join(f.Truncate(0), ignoreN(f.WriteString(strconv.Itoa(os.Getpid())))); err != nil {
			f.Close()
			return nil, unwritable(parent, err)
		}
		return func() {
			_ = os.Remove(path) // while the lock is held, so that nobody holds a file that is gone
			f.Close()
		}, nil
	}
}

func ignoreN(_ int, err error) error { return err }

// still says whether f is the file that path leads to.
func still(path string, f *os.File) bool {
	held, err1 := f.Stat()
	there, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(held, there)
}

func busy(name string, f *os.File, err error) error {
	if !errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("locking box %s: %w", name, err)
	}
	pid := make([]byte, 20)
	n, _ := f.Read(pid) // it is for the message alone
	return &BusyError{Name: name, PID: strings.TrimSpace(string(pid[:n]))}
}

// unwritable says that there is no place to keep what is known of a box.
func unwritable(dir string, err error) error {
	return &PrerequisiteError{Findings: []Finding{noPlace(dir, err)}}
}

func noPlace(dir string, err error) Finding {
	return Finding{
		Name:    "configuration directory",
		Level:   Fail,
		Message: fmt.Sprintf("cannot write to %s: %v", dir, err),
		Hint:    "make it writable, or set XDG_CONFIG_HOME to a directory that is",
	}
}
