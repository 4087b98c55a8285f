package app

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

// errInterrupted is the cause of a context that a person has ended.
var errInterrupted = errors.New("interrupted")

// interruptible returns a context that ends at the first Ctrl-C, or when the
// process is asked to terminate, with the cause errInterrupted. The second
// Ctrl-C does not wait for anything. stop gives the signals back.
func interruptible(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	stopped, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-signals:
				if ctx.Err() != nil {
					build.RemoveTemp()
					os.Exit(codeInterrupted)
				}
				cancel(errInterrupted)
			case <-stopped:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(stopped)
		<-done
		cancel(nil)
	}
}

// interrupted says whether ctx ended by a person's wish.
func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errInterrupted)
}
