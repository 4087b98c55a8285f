// Package notify turns file system events into settled batches of changed
// files.
//
//	fsnotify --> read: new folders watched and walked, noise dropped
//	               |
//	               |   poll: folders whose file system may not tell
//	               v  /
//	             settle: wait until it is quiet, and for git to finish
//	               |  \
//	               |   Stirred: what may soon be settled
//	               v
//	             Batch
//
// Folders are watched, not files, because editors save by writing a new file
// and renaming it into place. Which files matter is the caller's to say: an
// event for any other neither starts nor prolongs a batch. Links are not
// followed: who wants what lies behind one names it.
package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Batch is what changed, after it ceased to change.
type Batch struct {
	// Files are the paths that were written, made, renamed or removed, in order.
	Files []string
	// Rescan says that more may have changed than Files: events were lost, or
	// a whole folder went.
	Rescan bool
	// First is when the first of the changes was noticed.
	First time.Time
}

// Options are the times that Watcher waits. The zero value of each means
// its default.
type Options struct {
	// Quiet is how long nothing more must change: longer than an editor or a
	// formatter takes between two writes of one save. 30 ms.
	Quiet time.Duration
	// QuietMany is Quiet after more than a handful of files changed, as when
	// a generator runs or a branch is checked out. 200 ms.
	QuietMany time.Duration
	// Cap is how long changes may go on before there is a batch of them all
	// the same. 1 s.
	Cap time.Duration
	// HoldCap is Cap while git is at work in the tree. 10 s.
	HoldCap time.Duration
	// Stirred is told which files of a batch have changed so far, as soon as
	// they rest for a moment, so that work on them can begin before it is known
	// that they settled. It must not block. Nil where nobody wants to know.
	Stirred func(files []string)
	// Held is told of a lock of git's that has held a batch for a second. It
	// must not block. Nil where nobody wants to know.
	Held func(lock string)
}

// many is where QuietMany takes over from Quiet.
const many = 20

func (o Options) withDefaults() Options {
	return Options{
		Quiet:     cmp.Or(o.Quiet, 30*time.Millisecond),
		QuietMany: cmp.Or(o.QuietMany, 200*time.Millisecond),
		Cap:       cmp.Or(o.Cap, time.Second),
		HoldCap:   cmp.Or(o.HoldCap, 10*time.Second),
		Stirred:   o.Stirred,
		Held:      o.Held,
	}
}

// Set is what to watch.
type Set struct {
	// Dirs are folders whose files are watched. One that is not there is
	// waited for.
	Dirs []string
	// Trees are folders that are watched with those below them that Enters
	// lets in. Nil lets in all.
	Trees  []string
	Enters func(dir string) bool
	// Relevant says whether a file matters. It is called from the Watcher's
	// own goroutine. Nil means that all do.
	Relevant func(file string) bool
}

// Watcher watches one Set at a time.
type Watcher struct {
	options Options
	fs      *fsnotify.Watcher

	mu      sync.Mutex
	set     Set
	watched map[string]bool
	mute    map[string]bool // those of watched that may not tell of changes
	isMute  func(dir string) bool
	git     []string
}

// New makes a Watcher that watches nothing yet.
func New(o Options) (*Watcher, error) {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("starting to watch files: %w", explain(err))
	}
	return &Watcher{options: o.withDefaults(), fs: fs, watched: map[string]bool{}, mute: map[string]bool{}, isMute: mute}, nil
}

// Watch replaces the Set. Changes made after it returns are noticed.
func (w *Watcher) Watch(set Set) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = set
	w.git = gitDirs(slices.Concat(set.Dirs, set.Trees))
	before := w.watched
	w.watched = make(map[string]bool, len(before))
	for _, dir := range set.Dirs {
		if err := w.arm(dir); err != nil {
			return err
		}
	}
	for _, tree := range set.Trees {
		if _, err := w.walk(tree); err != nil {
			return err
		}
	}
	for dir := range before {
		if !w.watched[dir] {
			_ = w.fs.Remove(dir) // it may be gone already
			delete(w.mute, dir)
		}
	}
	return nil
}

// Run sends batches until ctx ends, and then stops watching for good.
func (w *Watcher) Run(ctx context.Context, out chan<- Batch) error {
	ctx, cancel := context.WithCancel(ctx)
	changes := make(chan change)
	var beside sync.WaitGroup
	beside.Go(func() { settle(ctx, changes, out, w.options, w.busy) })
	beside.Go(func() { w.poll(ctx, changes) })
	err := w.read(ctx, changes)
	cancel()
	beside.Wait()
	if closeErr := w.fs.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("ceasing to watch files: %w", closeErr)
	}
	return err
}

// LimitError says that the system lets nobody watch more.
type LimitError struct {
	Sysctl string
	Err    error
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%v: the limit %s is reached; raise it with `%s`", e.Err, e.Sysctl, e.Hint())
}

func (e *LimitError) Unwrap() error { return e.Err }

// Hint is the command that raises the limit.
func (e *LimitError) Hint() string {
	value := 524288
	if e.Sysctl == maxInstances {
		value = 8192
	}
	return fmt.Sprintf("sudo sysctl -w %s=%d", e.Sysctl, value)
}

const (
	maxWatches   = "fs.inotify.max_user_watches"
	maxInstances = "fs.inotify.max_user_instances"
)

// explain names the limit behind an error that says "no space left on
// device" or "too many open files" and means neither.
func explain(err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return &LimitError{Sysctl: maxWatches, Err: err}
	case errors.Is(err, syscall.EMFILE):
		return &LimitError{Sysctl: maxInstances, Err: err}
	}
	return err
}
