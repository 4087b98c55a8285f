package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Spec says what to run.
type Spec struct {
	Image *Image
	// Name is for records and logs, unique among the processes that are not
	// removed yet.
	Name string
	// Dir is the process's own directory. It must not be there: the Runner
	// makes it, and Process.Remove removes it.
	Dir          string
	Args         []string // nil: the image's entrypoint and cmd
	Env          []string // "K=V", over the image's
	WorkingDir   string   // "": the image's
	User         string   // "uid[:gid]", numbers or names of the image; "": the image's
	Hostname     string   // "": the machine's
	ReadOnlyRoot bool
	Mounts       []Mount
	// Network is the network namespace that the process is in; nil: the
	// machine's. The caller may make threads enter it.
	Network *os.File
	// In is a process that runs, whose root, process ids and host name this one
	// has too, and with whose process ids it ends; nil: it gets its own.
	In *Process
	// Stdin is what the process reads; nil: nothing.
	Stdin *os.File
	// Terminal says that Stdin is a terminal, which is the process's own.
	Terminal bool
	// Files are open in the process, from descriptor 3 on.
	Files []*os.File
	// Hosts and ResolvConf are what its /etc has under these names; nil: what
	// the machine's has. Where there is no root of its own, nothing has them.
	Hosts, ResolvConf []byte
	// Stdout and Stderr take what the process writes; nil discards. An
	// *os.File is handed to the process as it is.
	Stdout, Stderr io.Writer
}

// Mount is a file or directory of the machine at a place in the container.
type Mount struct {
	Source   string // on the machine
	Target   string // in the container; made if the image does not have it
	ReadOnly bool
}

// Exit says how a process ended.
type Exit struct {
	Code   int // as containers report it: 128 + Signal for a killed process
	Signal int // 0: it ended by itself
	At     time.Time
}

// drain is how long output is still copied after the end of a process, when
// something that it started keeps its output open.
const drain = 500 * time.Millisecond

// Process is a running image, or one that has ended and is not removed yet.
type Process struct {
	name    string
	dir     string
	runner  *Runner
	image   *Image
	cmd     *exec.Cmd
	started time.Time
	own     bool // it has process ids of its own
	record  string
	alive   *os.File // the process takes our death for certain when it is closed

	done   chan struct{}
	exit   Exit // before done is closed: wait's alone
	remove sync.Mutex
	gone   bool
}

// Start runs what s says, and returns when the image's program has taken
// over. ctx bounds the starting only. The process runs until it ends or is
// killed; its directory and its name stay taken until Remove.
func (r *Runner) Start(ctx context.Context, s Spec) (*Process, error) {
	p := &Process{
		name: s.Name, dir: s.Dir, runner: r, own: r.how.pids && s.In == nil,
		record: r.recordOf(s.Name), done: make(chan struct{}),
	}
	if err := p.begin(ctx, s); err != nil {
		return nil, err // who starts a process knows by what name people call it
	}
	return p, nil
}

func (p *Process) begin(ctx context.Context, s Spec) error {
	c, err := p.runner.plan(s)
	if err != nil {
		return err
	}
	if s.In != nil && !s.In.runs() {
		return fmt.Errorf("%s has ended, and nothing begins in it", s.In.name)
	}
	if err := p.runner.enter(ctx, p); err != nil {
		return err
	}
	defer p.runner.starting.Done()
	p.image = s.Image.again()
	if err := p.launch(ctx, s, c); err != nil {
		p.image.Release()
		p.runner.leave(p)
		return err
	}
	go p.wait()
	return nil
}

// PID is the process's id on this machine.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Started is when the image's program took over.
func (p *Process) Started() time.Time { return p.started }

// Done is closed when the process has ended and all it wrote was copied.
func (p *Process) Done() <-chan struct{} { return p.done }

func (p *Process) runs() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Exit is how the process ended; it is valid after Done.
func (p *Process) Exit() Exit {
	if p.runs() {
		return Exit{}
	}
	return p.exit
}

// Signal sends sig to the process. As in every container, a program that is
// the first of its process ids and has no handler for sig does not notice;
// SIGKILL ends it and all that it started.
func (p *Process) Signal(sig os.Signal) error {
	if sig == syscall.SIGKILL || sig == os.Kill {
		return p.kill()
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %s to %s: %w", sig, p.name, err)
	}
	return nil
}

// Remove removes what is left of a process that has ended; it kills one that
// has not, and waits.
func (p *Process) Remove() error {
	if err := p.kill(); err != nil {
		return err
	}
	<-p.done
	p.remove.Lock()
	defer p.remove.Unlock()
	if p.gone {
		return nil
	}
	if err := RemoveAll(p.dir); err != nil {
		return fmt.Errorf("removing the directory of %s: %w", p.name, err)
	}
	if err := os.Remove(p.record); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the record of %s: %w", p.name, err)
	}
	p.gone = true
	p.runner.leave(p)
	return nil
}
