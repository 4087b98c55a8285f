package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// gate is something that is not there yet and that steps wait for.
type gate chan struct{}

func (g gate) open() { close(g) }

func (g gate) wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// step is one line of the list in up.go.
type step struct {
	name  string
	after gate // opens before the step starts; nil starts it at once
	do    func(ctx context.Context, say func(string)) (summary string, err error)
}

// errStopped is why a step ends when another one failed.
var errStopped = errors.New("another step failed")

// runAll runs the steps side by side, each after its gate. When one fails the
// others are stopped; its error is returned once all have ended.
func runAll(ctx context.Context, events event.Sink, steps []step) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		all   sync.WaitGroup
		once  sync.Once
		first error
	)
	for _, s := range steps {
		all.Go(func() {
			if err := s.run(ctx, events); err != nil {
				once.Do(func() { first = err })
				cancel(errStopped)
			}
		})
	}
	all.Wait()
	return first
}

// run does the step and tells of it.
func (s step) run(ctx context.Context, events event.Sink) error {
	if s.after != nil {
		if err := s.after.wait(ctx); err != nil {
			return err
		}
	}
	start := time.Now()
	events.Emit(event.Event{Kind: event.StepStarted, Step: s.name})
	summary, err := s.do(ctx, func(message string) {
		events.Emit(event.Event{Kind: event.StepProgress, Step: s.name, Message: message})
	})
	if err == nil {
		events.Emit(event.Event{Kind: event.StepDone, Step: s.name, Message: summary, Duration: time.Since(start)})
		return nil
	}
	if errors.Is(context.Cause(ctx), errStopped) {
		return errStopped // the step that failed says why
	}
	said, err := s.failure(ctx, err)
	said.Duration = time.Since(start)
	events.Emit(said)
	return err
}

// failure is the event and the error of a step that ended with err.
func (s step) failure(ctx context.Context, err error) (event.Event, error) {
	said := event.Event{Kind: event.StepFailed, Step: s.name}
	if ctx.Err() != nil { // whatever the step says of it
		said.Error = "interrupted"
		return said, fmt.Errorf("%s: %w", s.name, ctx.Err())
	}
	if missing, ok := errors.AsType[*PrerequisiteError](err); ok {
		said.Error, said.Hint = missing.Findings[0].Message, missing.Findings[0].Hint
		return said, err
	}
	failed, ok := errors.AsType[*ClusterError](err)
	if !ok {
		failed = &ClusterError{Step: s.name, Err: err, Hint: "run `devbox up` again; if that does not help, `devbox down` first"}
	}
	said.Error, said.Hint = failed.Err.Error(), failed.Hint
	return said, failed
}
