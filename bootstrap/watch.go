package bootstrap

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"time"
)

// Opener is an Entrance through which requests come only while somebody holds it
// open.
type Opener interface {
	// Open returns when requests come through, and holds it open until ctx ends.
	Open(ctx context.Context) error
}

// Open holds the way to the box's gateway open until ctx ends, where it is not
// open by itself.
func (b *Box) Open(ctx context.Context) error {
	if o, ok := b.Entrance.(Opener); ok {
		return o.Open(ctx)
	}
	return nil
}

// Watch returns a context that ends when ctx does, or when the box has ended
// for good; then its cause is a *ClusterError. stop ends the watching.
func (b *Box) Watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Ended(ctx); err != nil {
			cancel(b.ended(ctx, err))
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}

// unmaking is how long a Down may take for what is left once the box has
// ended.
const unmaking = 10 * time.Second

// ended says why the box is no more: somebody has removed it, with its log, or
// it ended by itself.
func (b *Box) ended(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeout(ctx, unmaking)
	defer cancel()
	_ = Poll(ctx, 20*time.Millisecond, func(context.Context) error { return b.unlocked() })
	if _, err := os.Stat(b.Dir()); errors.Is(err, fs.ErrNotExist) {
		return &ClusterError{Step: "box", Err: errors.New("it was removed by `devbox down`")}
	}
	failed := &ClusterError{Step: "box", Err: why}
	if log := b.Log(); log != "" {
		failed.Hint = "its log is " + log
	}
	return failed
}

// unlocked is an error while somebody makes or unmakes the box.
func (b *Box) unlocked() error {
	if _, err := os.Stat(b.Dir() + ".lock"); err == nil {
		return errors.New("somebody is at work on the box")
	}
	return nil
}
