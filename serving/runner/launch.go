package runner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// launch makes the process and returns when the image's program has taken
// over.
func (p *Process) launch(ctx context.Context, s Spec, c container.Spec) error {
	if err := p.runner.prepare(s, c); err != nil {
		return err
	}
	p.cmd = p.runner.how.command(c)
	if s.Stdin != nil { // a nil file is no nil Reader
		p.cmd.Stdin = s.Stdin
	}
	p.cmd.Stdout, p.cmd.Stderr = s.Stdout, s.Stderr
	if s.Terminal { // a session is a group too
		p.cmd.SysProcAttr.Setpgid, p.cmd.SysProcAttr.Setsid, p.cmd.SysProcAttr.Setctty = false, true, true
	}
	if err := p.start(ctx, s, c); err != nil {
		return errors.Join(err, RemoveAll(p.dir), remove(p.record))
	}
	p.started = time.Now()
	return nil
}

// command is this program, to become a container.
func (m method) command(c container.Spec) *exec.Cmd {
	return &exec.Cmd{
		Path: self(), Args: []string{container.Name}, Env: []string{},
		SysProcAttr: m.attributes(c.Root), WaitDelay: drain,
	}
}

// start makes the process, writes down that it is there, and only then tells
// it what to do.
func (p *Process) start(ctx context.Context, s Spec, c container.Spec) error {
	spec, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer spec.Close()
	report, failure, err := os.Pipe()
	if err != nil {
		tell.Close()
		return fmt.Errorf("making a pipe: %w", err)
	}
	defer report.Close()
	p.cmd.Args = append(p.cmd.Args, strconv.Itoa(len(s.Files)))
	p.cmd.ExtraFiles = append(slices.Clone(s.Files), spec, failure)
	err = p.runner.forks.run(func() error { return s.inNamespaces(p.cmd.Start) })
	failure.Close()
	if err != nil {
		tell.Close()
		return fmt.Errorf("making a process: %w", err)
	}
	p.alive = tell
	stop := context.AfterFunc(ctx, func() { _ = p.kill() }) // its end ends the reading below
	defer stop()
	if err := p.tell(tell, c); err != nil {
		return errors.Join(context.Cause(ctx), err, p.abandon())
	}
	words, err := io.ReadAll(report)
	if err := errors.Join(context.Cause(ctx), err); err != nil {
		return errors.Join(err, p.abandon())
	}
	if len(words) > 0 {
		return errors.Join(errors.New(string(words)), p.abandon())
	}
	if !stop() { // it was killed a moment ago
		return errors.Join(context.Cause(ctx), p.abandon())
	}
	return nil
}

// tell records the process and lets it go.
func (p *Process) tell(to io.Writer, c container.Spec) error {
	start, err := startOf(p.PID())
	if err != nil {
		return fmt.Errorf("looking at the new process: %w", err)
	}
	content, err := json.Marshal(record{Name: p.name, PID: p.PID(), Start: start, Dir: p.dir})
	if err != nil {
		return fmt.Errorf("recording the process: %w", err)
	}
	if err := replace(p.record, content); err != nil {
		return fmt.Errorf("recording the process: %w", err)
	}
	if err := json.NewEncoder(to).Encode(c); err != nil {
		return fmt.Errorf("telling the process what to run: %w", err)
	}
	return nil
}

// abandon ends a process that did not get to run the image's program.
func (p *Process) abandon() error {
	_ = p.kill()
	p.alive.Close()
	var exit *exec.ExitError
	if err := p.cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return fmt.Errorf("waiting for the process: %w", err)
	}
	return nil
}

// wait waits for the process, and for what it started.
func (p *Process) wait() {
	err := p.cmd.Wait()
	if !p.own {
		_ = syscall.Kill(-p.PID(), syscall.SIGKILL) // what is left of its group; mostly nothing
	}
	p.alive.Close()
	p.exit = exitOf(p.cmd.ProcessState)
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) && !errors.Is(err, exec.ErrWaitDelay) {
		p.runner.log.Warn("what a process wrote is not complete", "name", p.name, "error", err)
	}
	p.image.Release()
	close(p.done)
}

func exitOf(state *os.ProcessState) Exit {
	e := Exit{Code: state.ExitCode(), At: time.Now()}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = int(status.Signal())
		e.Code = 128 + e.Signal
	}
	return e
}

// kill ends the process and what it started.
func (p *Process) kill() error {
	err := p.cmd.Process.Kill()
	if !p.own && err == nil {
		err = syscall.Kill(-p.PID(), syscall.SIGKILL)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("killing %s: %w", p.name, err)
	}
	return nil
}

// recordOf is the file that records a process.
func (r *Runner) recordOf(name string) string {
	return filepath.Join(r.dir, "running", url.PathEscape(name)+".json")
}

func remove(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
