package runner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// DefaultKeep is how many bytes of layers stay that no image in use needs:
// about fifty revisions of a small service.
const DefaultKeep = 512 << 20

// ErrClosed is what a Runner that was closed answers.
var ErrClosed = errors.New("the runner is closed")

// Options say how a Runner works. The zero value is good.
type Options struct {
	// Keep is how many bytes of layers that no image in use needs stay all
	// the same; 0 means DefaultKeep, less than 0 none.
	Keep int64
	// Direct runs every process without isolation, as on a machine that
	// does not allow it.
	Direct bool
	Log    *slog.Logger // nil discards
}

// Runner fetches images and runs them. It is safe for concurrent use.
type Runner struct {
	dir       string
	log       *slog.Logger
	store     *store
	transport *http.Transport
	layers    *flights[v1.Hash]
	images    *flights[v1.Hash]
	forks     *forker
	isolation Isolation
	how       method
	unlock    func()

	mu        sync.Mutex
	closed    bool
	starting  sync.WaitGroup
	processes map[string]*Process // by name, until they are removed
}

// Isolation is what this kernel and the caller's rights allow.
type Isolation struct {
	Root   bool   // a process has the image as its root
	PID    bool   // and process ids of its own, which end with its first
	Reason string // why not, in words; "" where both
}

// New opens the Runner that keeps its files in dir, which is made if it is
// not there, and ends what an earlier Runner there left behind. One Runner at
// a time may have dir.
func New(dir string, o Options) (_ *Runner, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, fmt.Errorf("finding the runner's directory: %w", err)
	}
	if err := makeDirs(dir, "layers", "images/tags", "running"); err != nil {
		return nil, err
	}
	r := &Runner{
		dir:       dir,
		log:       cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		transport: remote.DefaultTransport.(*http.Transport).Clone(),
		layers:    newFlights[v1.Hash](),
		images:    newFlights[v1.Hash](),
		processes: map[string]*Process{},
	}
	if r.unlock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, err
	}
	if err := sweep(filepath.Join(dir, "running"), r.log); err != nil {
		r.unlock()
		return nil, err
	}
	r.forks = newForker()
	if o.Direct {
		r.isolation.Reason = "isolation is switched off"
	} else {
		r.how, r.isolation = r.probe()
	}
	if r.store, err = openStore(dir, keep(o), r.how.overlay, r.log); err != nil {
		r.forks.close()
		r.unlock()
		return nil, err
	}
	return r, nil
}

func keep(o Options) int64 { return max(cmp.Or(o.Keep, DefaultKeep), 0) }

func makeDirs(dir string, names ...string) error {
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("making the runner's directory: %w", err)
		}
	}
	return nil
}

// Isolation is what a process gets here, found out once, by trying.
func (r *Runner) Isolation() Isolation { return r.isolation }

// Close kills every process and waits for the end of each, and of every pull.
func (r *Runner) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return nil
	}
	r.starting.Wait()
	r.images.close()
	r.layers.close()
	r.mu.Lock()
	left := slices.Collect(maps.Values(r.processes)) // nobody adds one now
	r.mu.Unlock()
	for _, p := range left {
		_ = p.kill() // it is gone, or it dies with the thread that started it
	}
	var errs []error
	for _, p := range left {
		errs = append(errs, p.Remove())
	}
	r.forks.close()
	r.transport.CloseIdleConnections()
	r.unlock()
	return errors.Join(errs...)
}

// enter adds a process, which is starting then, under its name, which no
// other may have.
func (r *Runner) enter(ctx context.Context, p *Process) error {
	if err := r.check(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	if r.processes[p.name] != nil {
		return errors.New("a process of that name is there already; remove it first")
	}
	r.processes[p.name] = p
	r.starting.Add(1)
	return nil
}

func (r *Runner) leave(p *Process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.processes, p.name)
}

// check is the error of a Runner that can do no more.
func (r *Runner) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return ErrClosed
	}
	return context.Cause(ctx)
}
