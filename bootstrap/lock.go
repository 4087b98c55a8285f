package bootstrap

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Session makes this process the one that deploys to a box, until end is
// called or the process ends, however it ends: two loops over one box would
// undo each other's work. It returns a *BusyError where another has the
// session, which then says what that one serves. Up and Down need none; they
// keep to themselves while they work.
func Session(name string, serves ...string) (end func(), err error) {
	release, err := hold(name, ".session", serves...)
	if busy, ok := errors.AsType[*BusyError](err); ok {
		busy.Session = true
	}
	if err != nil {
		return nil, err
	}
	return func() {
		if socket, err := socketOf(name); err == nil {
			_ = os.Remove(socket) // of a session that was killed; one that ends has removed it
		}
		release()
	}, nil
}

// lock makes this process the only one that makes or unmakes a box until
// unlock is called. It returns a *BusyError where another has the lock.
func lock(name string) (unlock func(), err error) { return hold(name, ".lock") }

// hold locks the file of a box that ends in suffix, until release is called
// or the process ends, however it ends. words are for who finds it locked.
func hold(name, suffix string, words ...string) (release func(), err error) {
	dir, err := dirOf(name)
	if err != nil {
		return nil, err
	}
	return holdFile(name, dir+suffix, words...)
}

// holdFile is hold of any file, whose folder is made.
func holdFile(name, path string, words ...string) (release func(), err error) {
	parent := filepath.Dir(path)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, unwritable(parent, err)
	}
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
		if err := errors.Join(f.Truncate(0), ignoreN(f.WriteString(strings.Join(append([]string{strconv.Itoa(os.Getpid())}, words...), "\n")))); err != nil {
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
	said, _ := io.ReadAll(f) // it is for the message alone
	pid, words, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	busy := &BusyError{Name: name, PID: pid}
	if words != "" {
		busy.Serves = strings.Split(words, "\n")
	}
	return busy
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
