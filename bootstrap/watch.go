package bootstrap

import "context"

// Watch returns a context that ends when ctx does, or when the box has ended
// for good; then its cause is a *ClusterError. stop ends the watching.
func (b *Box) Watch(ctx context.Context) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.Ended(ctx); err != nil {
			cancel(&ClusterError{Step: "box", Err: err, Hint: "its log is " + b.Log()})
		}
	}()
	return ctx, func() { cancel(nil); <-done }
}
