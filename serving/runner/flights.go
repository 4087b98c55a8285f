package runner

import (
	"context"
	"sync"
)

// flights let callers that want the same thing at the same time share the
// work. A caller that gives up does not stop the work for the others; when
// the last one gives up, it stops.
type flights[K comparable] struct {
	mu     sync.Mutex
	flying map[K]*flight
	closed bool
	all    sync.WaitGroup
}

type flight struct {
	done    chan struct{}
	err     error
	waiting int
	cancel  context.CancelFunc
}

func newFlights[K comparable]() *flights[K] {
	return &flights[K]{flying: map[K]*flight{}}
}

// do returns when the work for key is done, by whomever, or ctx ends.
func (fs *flights[K]) do(ctx context.Context, key K, work func(context.Context) error) error {
	f, err := fs.join(ctx, key, work)
	if err != nil {
		return err
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		fs.give(key, f)
		return context.Cause(ctx)
	}
}

func (fs *flights[K]) join(ctx context.Context, key K, work func(context.Context) error) (*flight, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.closed {
		return nil, ErrClosed
	}
	if f := fs.flying[key]; f != nil {
		f.waiting++
		return f, nil
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	f := &flight{done: make(chan struct{}), waiting: 1, cancel: cancel}
	fs.flying[key] = f
	fs.all.Go(func() {
		f.err = work(ctx)
		cancel()
		fs.forget(key, f)
		close(f.done)
	})
	return f, nil
}

// give says that one caller gave up.
func (fs *flights[K]) give(key K, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.waiting--; f.waiting > 0 {
		return
	}
	f.cancel()
	if fs.flying[key] == f {
		delete(fs.flying, key) // who comes now starts anew
	}
}

func (fs *flights[K]) forget(key K, f *flight) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.flying[key] == f {
		delete(fs.flying, key)
	}
}

// close stops all work and waits for its end.
func (fs *flights[K]) close() {
	fs.mu.Lock()
	fs.closed = true
	for _, f := range fs.flying {
		f.cancel()
	}
	fs.mu.Unlock()
	fs.all.Wait()
}
