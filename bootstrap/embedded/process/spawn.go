package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// LogName is the box process's log, in the box's directory.
const LogName = "box.log"

// eventsFD is where a box process finds the pipe for its events: the first
// file after the standard three.
const eventsFD = 3

// Failure is why a box process did not come up: the step that failed, in its
// own words. It has told of it as an event.
type Failure struct{ Step, Message, Hint string }

func (f *Failure) Error() string { return f.Step + ": " + f.Message }

// Spawn starts command as the box process of the box in dir, hands its events
// to sink, and returns when it is ready. From then on it lives by itself. Where
// ctx ends before, so does it.
func Spawn(ctx context.Context, dir string, command []string, sink event.Sink) error {
	log, err := os.OpenFile(filepath.Join(dir, LogName), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("opening the log of the box's process: %w", err)
	}
	defer log.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe to the box's process: %w", err)
	}
	defer r.Close()
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // it outlives ctx once it is ready
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = log, log, []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is not for it
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("starting the box's process: %w", err)
	}
	ended := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() { ended <- end(cmd.Process) })
	err = relay(r, sink)
	if !stop() {
		return errors.Join(context.Cause(ctx), <-ended)
	}
	if err == nil {
		return cmd.Process.Release()
	}
	// It has nothing more to tell, and ends when it has stopped its parts.
	kill := time.AfterFunc(stopLimit, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait() // how it ended is told below
	if failed := (*Failure)(nil); errors.As(err, &failed) {
		return err
	}
	return fmt.Errorf("%w (%s); its last words:\n%s", err, cmd.ProcessState, lastWords(log.Name()))
}

// relay hands on events until the box is ready, which it leaves for others to
// say.
func relay(r io.Reader, sink event.Sink) error {
	var failed *Failure
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var e event.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("reading an event of the box's process: %w", err)
		}
		if e.Kind == event.BoxReady {
			return nil
		}
		if e.Kind == event.StepFailed && failed == nil {
			failed = &Failure{Step: e.Step, Message: e.Error, Hint: e.Hint}
		}
		sink.Emit(e)
	}
	if failed != nil {
		return failed
	}
	return errors.New("the box's process ended before it was ready")
}

// end asks a process that is not ready to end, and waits for it.
func end(p *os.Process) error {
	_ = p.Signal(syscall.SIGTERM) // it may have ended
	kill := time.AfterFunc(stopLimit, func() { _ = p.Kill() })
	defer kill.Stop()
	if _, err := p.Wait(); err != nil {
		return fmt.Errorf("waiting for the box's process to end: %w", err)
	}
	return nil
}

// lastWords is the end of a log.
func lastWords(file string) string {
	const most = 2 << 10
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		_, _ = f.Seek(-most, io.SeekEnd) // from the start, where it cannot
	}
	text, _ := io.ReadAll(io.LimitReader(f, most)) // it is for the message alone
	return string(text)
}
