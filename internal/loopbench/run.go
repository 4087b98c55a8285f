package loopbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher"
)

const (
	// mostWarm is how many edits there may be, which do not count, until the
	// loop has learnt how the program is made.
	mostWarm = 5
	// noticed is how long a save may take to be noticed.
	noticed = 10 * time.Second
	// firstLive is how long the first revision may take, whose program the go
	// command may have to compile as a whole; nextLive is that of the others.
	firstLive = 10 * time.Minute
	nextLive  = 2 * time.Minute
)

// Config says what is measured, and where.
type Config struct {
	// Loop is what the loop runs with; its one target is the Service that is
	// made and edited.
	Loop watcher.Config
	// Package is the folder of the package that is edited.
	Package string
	Edits   int
	Pause   time.Duration // before each turn
	// Progress is told how far it is.
	Progress event.Sink
}

// Run measures until all edits are made or ctx ends, and removes the file it
// has edited. The report has the turns that came to their end.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	file, err := newEdited(cfg.Package)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "devbox-bench-")
	if err != nil {
		return nil, fmt.Errorf("making a folder to build in: %w", err)
	}
	defer os.RemoveAll(tmp)
	if err := file.save("before the first edit"); err != nil {
		return nil, err
	}
	target := cfg.Loop.Targets[0]
	b := &bench{
		Config: cfg, file: file, compiler: compiler{edited: file, dir: target.Dir, tmp: tmp},
		taken: taken{phases: map[string][]time.Duration{}, ways: map[string]int{}},
	}
	err = errors.Join(b.run(ctx), file.remove())
	if len(b.live) == 0 {
		return nil, err
	}
	report := &Report{Service: target.Name, Engine: cfg.Loop.Engine, Package: cfg.Package, Pause: cfg.Pause}
	b.fill(report)
	return report, err
}

type bench struct {
	Config
	file     *edited
	compiler compiler
	taken
	events chan event.Event
	saved  int // how many edits were
}

func (b *bench) run(ctx context.Context) error {
	// The loop outlives what waits for it, and ends with it.
	ctx, cancel := context.WithCancelCause(ctx)
	b.events = make(chan event.Event, 1024) // more than come between two saves
	b.Loop.Events = func(e event.Event) {
		select {
		case b.events <- e:
		case <-ctx.Done():
		}
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(errors.Join(watcher.Run(ctx, b.Loop), errEnded))
	}()
	err := b.turns(ctx)
	cancel(nil)
	<-ended
	return err
}

var errEnded = errors.New("the loop has ended")

// ErrUnrelated says that the program is not made from the package.
var ErrUnrelated = errors.New("the program is not made from the package that is edited")

func (b *bench) turns(ctx context.Context) error {
	b.tell("the first revision")
	if _, err := b.answered(ctx, firstLive); err != nil {
		return err
	}
	if err := b.warm(ctx); err != nil {
		return err
	}
	for n := range b.Edits {
		b.tell(fmt.Sprintf("edit %d of %d", n+1, b.Edits))
		if err := b.turn(ctx, n); err != nil {
			return err
		}
	}
	return nil
}

// warm makes edits that do not count, until neither the go command nor the loop
// has anything left that is done once.
func (b *bench) warm(ctx context.Context) error {
	for n := range mostWarm {
		b.tell("an edit that does not count")
		if err := wait(ctx, b.Pause); err != nil {
			return err
		}
		if _, _, err := b.compile(ctx, fmt.Sprintf("warm %d", n)); err != nil {
			return err
		}
		got, err := b.save(ctx)
		if err != nil {
			return err
		}
		if !strings.HasPrefix(got.way, "by the go command: what the one before it") {
			return nil
		}
	}
	return nil
}

// turn is one edit of each side.
func (b *bench) turn(ctx context.Context, n int) error {
	if err := wait(ctx, b.Pause); err != nil {
		return err
	}
	plain, stripped, err := b.compile(ctx, fmt.Sprintf("turn %d", n))
	if err != nil {
		return err
	}
	got, err := b.save(ctx)
	if err != nil {
		return err
	}
	b.plain, b.stripped = append(b.plain, plain), append(b.stripped, stripped)
	b.saw(got.took, got.way, got.phases)
	return nil
}

func (b *bench) compile(ctx context.Context, word string) (plain, stripped time.Duration, err error) {
	if plain, err = b.compiler.build(ctx, word+", plain"); err != nil {
		return 0, 0, err
	}
	stripped, err = b.compiler.build(ctx, word+", stripped", "-ldflags=-s -w")
	return plain, stripped, err
}

// lived is an edit that has come to its end.
type lived struct {
	took   time.Duration
	way    string
	phases []event.Phase
}

// save saves an edit, and returns when its revision has answered.
func (b *bench) save(ctx context.Context) (lived, error) {
	b.saved++
	for len(b.events) > 0 { // of the edit before
		<-b.events
	}
	start := time.Now()
	if err := b.file.save(fmt.Sprintf("edit %d", b.saved)); err != nil {
		return lived{}, err
	}
	if _, err := b.until(ctx, noticed, func(e event.Event) bool { return e.Kind == event.Changed }); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			err = fmt.Errorf("%w: a save in %s went unnoticed for %s", ErrUnrelated, b.Package, noticed)
		}
		return lived{}, err
	}
	got, err := b.answered(ctx, nextLive)
	got.took = time.Since(start)
	return got, err
}

// answered returns when a revision has answered.
func (b *bench) answered(ctx context.Context, limit time.Duration) (lived, error) {
	var got lived
	e, err := b.until(ctx, limit, func(e event.Event) bool {
		if e.Kind == event.BuildDone {
			got.way = wayOf(e.Message)
		}
		return e.Kind == event.RevisionLive
	})
	got.phases = e.Phases
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no revision answered in %s", limit)
	}
	return got, err
}

// wayOf is how a program was made, without the names of what was compiled.
func wayOf(message string) string {
	switch {
	case strings.HasPrefix(message, "by the go command"):
		return message
	case message == "":
		return "by the go command"
	}
	return "by the compiler and the linker alone"
}

// until waits for an event. One that says that there will be none is an error.
func (b *bench) until(ctx context.Context, limit time.Duration, is func(event.Event) bool) (event.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return event.Event{}, context.Cause(ctx)
		case e := <-b.events:
			if is(e) {
				return e, nil
			}
			switch e.Kind {
			case event.BuildFailed, event.RevisionFailed, event.ServiceDeleted:
				return e, &FailedError{e}
			case event.Warning: // of the box itself, it may be about anything
				if e.Service != "" {
					return e, &FailedError{e}
				}
			}
		}
	}
}

// FailedError says that the service that is measured came to nothing.
type FailedError struct{ Event event.Event }

func (e *FailedError) Error() string {
	words := strings.TrimSpace(e.Event.Error + e.Event.Message)
	return strings.Join(append([]string{words}, e.Event.Log...), "\n")
}

func (b *bench) tell(what string) {
	b.Progress.Emit(event.Event{Kind: event.StepProgress, Step: "bench", Message: what})
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// Package is the folder that is edited: the one that is named, seen from here,
// or the program's own.
func Package(named string, t watcher.Target) (string, error) {
	if named == "" {
		return t.Dir, nil
	}
	dir, err := filepath.Abs(named)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(dir)
}
