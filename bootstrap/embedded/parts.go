package embedded

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// parts run until they are stopped, or until one of them ends by itself.
type parts struct {
	failed chan error // holds why the first part ended that was not told to

	mu      sync.Mutex
	running []part
}

type part struct {
	cancel context.CancelFunc
	ended  chan error // closed after its error, if any
}

func newParts() *parts { return &parts{failed: make(chan error, 1)} }

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
		select {
		case p.failed <- errors.Join(fmt.Errorf("%s has ended", name), err):
		default: // another failed before
		}
	}()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = append(p.running, part{cancel, ended})
}

// stop ends the parts, last first: each may lean on those before it.
func (p *parts) stop() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for i := len(p.running) - 1; i >= 0; i-- {
		p.running[i].cancel()
		errs = append(errs, <-p.running[i].ended)
	}
	p.running = nil
	return errors.Join(errs...)
}
