package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Gate is something that is not there yet and that steps wait for.
type Gate chan struct{}

// Open lets those who wait go on, and whoever comes later. It is called once.
func (g Gate) Open() { close(g) }

// Wait returns when the gate is open. Its error is why ctx ended before that.
func (g Gate) Wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Step is one line of an engine's list of what brings a box up. It says what it
// does as events, is well when its work is done already, ends soon after its
// context does, and leaves nothing that the next Up does not repair.
type Step struct {
	Name  string // "" is of a step whose work tells of itself
	After Gate   // opens before the step starts; nil starts it at once
	Do    func(ctx context.Context, say func(string)) (summary string, err error)
}

// errStopped is why a step ends when another one failed.
var errStopped = errors.New("another step failed")

// RunAll runs the steps for the box of a name side by side, each after its gate.
// When one fails the others are stopped; its error is returned once all have ended.
func RunAll(ctx context.Context, box string, events event.Sink, steps []Step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		all   sync.WaitGroup
		once  sync.Once
		first error
	)
	for _, s := range steps {
		all.Go(func() {
			if err := s.run(ctx, box, events); err != nil {
				once.Do(func() { first = err })
				cancel(errStopped)
			}
		})
	}
	all.Wait()
	return first
}

// run does the step and tells of it.
func (s Step) run(ctx context.Context, box string, events event.Sink) error {
	if s.After != nil {
		if err := s.After.Wait(ctx); err != nil {
			return err
		}
	}
	if s.Name == "" {
		return s.silently(ctx)
	}
	start := time.Now()
	events.Emit(event.Event{Kind: event.StepStarted, Step: s.Name})
	summary, err := s.Do(ctx, func(message string) {
		events.Emit(event.Event{Kind: event.StepProgress, Step: s.Name, Message: message})
	})
	if err == nil {
		events.Emit(event.Event{Kind: event.StepDone, Step: s.Name, Message: summary, Duration: time.Since(start)})
		return nil
	}
	if errors.Is(context.Cause(ctx), errStopped) {
		return errStopped // the step that failed says why
	}
	said, err := s.failure(ctx, box, err)
	said.Duration = time.Since(start)
	events.Emit(said)
	return err
}

// silently does the step and tells nothing.
func (s Step) silently(ctx context.Context) error {
	_, err := s.Do(ctx, func(string) {})
	if err != nil && errors.Is(context.Cause(ctx), errStopped) {
		return errStopped
	}
	return err
}

// failure is the event and the error of a step that ended with err.
func (s Step) failure(ctx context.Context, box string, err error) (event.Event, error) {
	said := event.Event{Kind: event.StepFailed, Step: s.Name}
	if ctx.Err() != nil { // whatever the step says of it
		said.Error = "interrupted"
		return said, fmt.Errorf("%s: %w", s.Name, ctx.Err())
	}
	if missing, ok := errors.AsType[*PrerequisiteError](err); ok {
		said.Error, said.Hint = missing.Findings[0].Message, missing.Findings[0].Hint
		return said, err
	}
	failed, ok := errors.AsType[*ClusterError](err)
	if !ok {
		failed = &ClusterError{Step: s.Name, Err: err, Hint: "run `" + Command(box, "up") + "` again; if that does not help, `" + Command(box, "down") + "` first"}
	}
	said.Error, said.Hint = failed.Err.Error(), failed.Hint
	return said, failed
}
