// Package compile makes a program out of a module's source on the machine of
// whoever uses it, tells how far it is, and keeps it by what it was made of.
//
//	source ── its files and the compiler ──> key ── kept? ──> the program
//	                                           └── go list: what is to do
//	                                               go build -v: what is done ──> say
//
// A program is kept whole or not at all: it is moved to its place, a stamp with
// its checksum follows, and one that does not match is made again.
package compile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// Program is a program to be had from source.
type Program struct {
	Source  string   // the root of the module
	Folders []string // of it that the program is made of, below Source
	Package string   // its main package's import path
	Dir     string   // where programs are kept; made if it is not there
	OS      string   // that it runs on; empty means this machine's

	env []string // over that of the shell, once Get has asked for it
}

// kept is how many programs of one package stay, for those who go back and
// forth between versions.
const kept = 3

// lookEvery is how often another devbox is asked whether it is done with the
// same program.
const lookEvery = 200 * time.Millisecond

// Get returns the program's path, having compiled it where it was not kept.
// say is told how far that is. The error is exec.ErrNotFound where there is
// no go command.
func (p Program) Get(ctx context.Context, say func(string)) (string, error) {
	var err error
	p.OS = cmp.Or(p.OS, runtime.GOOS)
	if p.env, err = goenv.Own(ctx, p.OS, runtime.GOARCH); err != nil {
		return "", err
	}
	key, err := p.key(ctx)
	if err != nil {
		return "", err
	}
	place := filepath.Join(p.Dir, filepath.Base(p.Package)+"-"+key)
	if whole(place) {
		used(place)
		return place, nil
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of compiled programs: %w", err)
	}
	release, err := alone(ctx, place+".lock", say)
	if err != nil {
		return "", err
	}
	defer release()
	if whole(place) { // another was at it
		return place, nil
	}
	if err := p.make(ctx, place, say); err != nil {
		return "", err
	}
	return place, p.prune()
}

// make compiles the program and moves it to its place.
func (p Program) make(ctx context.Context, place string, say func(string)) error {
	tmp, err := os.MkdirTemp(p.Dir, ".new-")
	if err != nil {
		return fmt.Errorf("making a folder to compile in: %w", err)
	}
	defer os.RemoveAll(tmp)
	made := filepath.Join(tmp, "program")
	if err := p.build(ctx, made, say); err != nil {
		return err
	}
	if err := os.Rename(made, place); err != nil {
		return fmt.Errorf("keeping %s: %w", place, err)
	}
	return stamp(place)
}

// used notes that a program is in use, for prune. Where that cannot be written
// down, nothing can be pruned either.
func used(place string) {
	now := time.Now()
	_ = os.Chtimes(place+stampSuffix, now, now)
}

// alone makes this process the only one that compiles to a place, until
// release is called or it ends. The lock's file stays: two who hold one of
// them each would both be alone.
func alone(ctx context.Context, lock string, say func(string)) (release func(), err error) {
	f, err := os.OpenFile(lock, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the folder of compiled programs: %w", err)
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("locking %s: %w", lock, err)
		}
		say("another devbox is compiling it")
		select {
		case <-ctx.Done():
			f.Close()
			return nil, context.Cause(ctx)
		case <-time.After(lookEvery):
		}
	}
}

// prune lets go of all but the programs used last.
func (p Program) prune() error {
	stamps, err := filepath.Glob(filepath.Join(p.Dir, filepath.Base(p.Package)+"-*"+stampSuffix))
	if err != nil {
		return fmt.Errorf("listing compiled programs: %w", err)
	}
	newest(stamps)
	for _, stamp := range stamps[min(kept, len(stamps)):] {
		place := strings.TrimSuffix(stamp, stampSuffix)
		for _, path := range []string{stamp, place, place + ".lock"} {
			if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("removing an older program: %w", err)
			}
		}
	}
	return nil
}

// goCommand is a go command in the module.
func (p Program) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := goenv.Command(ctx, args...)
	cmd.Dir = p.Source
	cmd.Env = append(os.Environ(), p.env...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it takes its compilers along
	cmd.WaitDelay = interruptLimit
	return cmd
}

// interruptLimit is how long an interrupted go command may take to end.
const interruptLimit = 5 * time.Second
