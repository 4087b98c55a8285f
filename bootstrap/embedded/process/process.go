// Package process finds, starts and ends the process that an embedded box runs
// in. It outlives the devbox that starts it.
//
//	devbox up                                the box's process
//	  Find ---- process.json, locked? ------ Hold
//	  Spawn --- command, own session ------> Events
//	    sink <----- a pipe, until it is ready --/
//	  Stop ---- SIGTERM, then SIGKILL -----> (lock free: it has ended)
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/internal/compile"
)

// Process is the record of a box process, which it keeps locked as long as it
// lives: whoever finds the lock free knows that there is none.
type Process struct {
	PID     int       `json:"pid"`
	Program string    `json:"program"` // its content, as compile.Sum names it
	Started time.Time `json:"started"`

	dir string
}

// ErrRunning says that a box process runs already.
var ErrRunning = errors.New("the box's process runs already")

const (
	look = 20 * time.Millisecond // how often a process is looked for that starts or ends
	// stopLimit is how long a box process may take to end: its pods have their
	// own grace, which is shorter.
	stopLimit = 40 * time.Second
)

func recordOf(dir string) string { return filepath.Join(dir, "process.json") }

// Hold makes this process the box process of the box in dir until release is
// called or the process ends, however it ends. Its error is ErrRunning where
// there is one.
func Hold(dir string) (release func(), err error) {
	program, err := own()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(recordOf(dir), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the record of the box's process: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("locking the record of the box's process: %w", err)
	}
	record, err := json.Marshal(Process{PID: os.Getpid(), Program: program, Started: time.Now().UTC()})
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.WriteAt(append(record, '\n'), 0)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("writing the record of the box's process: %w", err)
	}
	return func() { f.Close() }, nil // which unlocks
}

// Find returns the box process of the box in dir, nil where none runs.
func Find(ctx context.Context, dir string) (*Process, error) {
	for {
		p, err := find(dir)
		var unfinished *json.SyntaxError
		if !errors.As(err, &unfinished) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			return p, err
		}
		select { // it has the lock and has not written yet
		case <-ctx.Done():
			return nil, fmt.Errorf("reading the record of the box's process: %w", err)
		case <-time.After(look):
		}
	}
}

func find(dir string) (*Process, error) {
	f, err := os.Open(recordOf(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening the record of the box's process: %w", err)
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB); err == nil {
		return nil, nil // nobody holds it; closing unlocks
	} else if !errors.Is(err, unix.EWOULDBLOCK) {
		return nil, fmt.Errorf("locking the record of the box's process: %w", err)
	}
	p := &Process{dir: dir}
	if err := json.NewDecoder(f).Decode(p); err != nil {
		return nil, err
	}
	return p, nil
}

// Alive says whether p still runs.
func (p *Process) Alive(ctx context.Context) bool {
	now, err := Find(ctx, p.dir)
	return err != nil || now != nil && now.PID == p.PID
}

// Stop ends p with all its pods: it is asked to, and killed where it does not
// listen.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.signal(ctx, syscall.SIGTERM); err != nil {
		return err
	}
	asked, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	if p.gone(asked) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := p.signal(ctx, syscall.SIGKILL); err != nil {
		return err
	}
	if !p.gone(ctx) {
		return ctx.Err()
	}
	return nil
}

// signal sends sig, if p still runs: a number alone may be another's by now.
func (p *Process) signal(ctx context.Context, sig syscall.Signal) error {
	if !p.Alive(ctx) {
		return nil
	}
	if err := syscall.Kill(p.PID, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("ending the box's process %d: %w", p.PID, err)
	}
	return nil
}

// gone waits until p has ended, and says false where ctx ends first.
func (p *Process) gone(ctx context.Context) bool {
	for p.Alive(ctx) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(look):
		}
	}
	return true
}

// own names the content of the program that this process runs, so that a box
// process of another version of devbox is told from one of this.
func own() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return compile.Sum(path)
}
