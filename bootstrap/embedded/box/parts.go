package box

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// parts run until they are stopped, or until one of them ends by itself.
type parts struct {
	failed chan struct{} // closed when a part has ended that was not told to

	mu      sync.Mutex
	why     error // the first such part ended
	running []part
}

type part struct {
	cancel context.CancelFunc
	ended  chan error // closed after its error, if any
}

func newParts() *parts { return &parts{failed: make(chan struct{})} }

// start runs a part, which outlives ctx. The context it gets ends when it is to
// stop.
func (p *parts) start(ctx context.Context, name string, run func(life context.Context) error) {
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		err := run(life)
		if err != nil {
			err = fmt.Errorf("running %s: %w", name, err)
		}
		if life.Err() != nil {
			ended <- err
			return
		}
		if err == nil {
			err = fmt.Errorf("%s has ended", name)
		}
		p.fail(err)
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, part{cancel, ended})
}

// fail notes why a part has ended. What follows from the first end is not told.
func (p *parts) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.why == nil {
		p.why = err
		close(p.failed)
	}
}

func (p *parts) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.why
}

// await returns what comes from ready, which a part gives when it works, or
// why that does not come: a part has failed, or ctx has ended.
func await[T any](ctx context.Context, p *parts, name string, ready <-chan T) (T, error) {
	var none T
	select {
	case it := <-ready:
		return it, nil
	case <-p.failed:
		return none, p.err()
	case <-ctx.Done():
		return none, fmt.Errorf("starting %s: %w", name, context.Cause(ctx))
	}
}

// stop ends the parts, last first: each may lean on those before it.
func (p *parts) stop() error {
	p.mu.Lock()
	running := p.running
	p.running = nil
	p.mu.Unlock()
	var errs []error
	for _, part := range slices.Backward(running) {
		part.cancel()
		errs = append(errs, <-part.ended)
	}
	return errors.Join(errs...)
}
