package node

import (
	"context"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// How often what cannot work yet is tried again, at first and at last.
const (
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// signal is given once and waited for by anyone.
type signal struct {
	once *sync.Once
	done chan struct{}
}

func newSignal() signal { return signal{new(sync.Once), make(chan struct{})} }

func (s signal) give() { s.once.Do(func() { close(s.done) }) }

// wait returns whether the signal was given before ctx ended.
func (s signal) wait(ctx context.Context) bool {
	select {
	case <-s.done:
		return true
	default:
	}
	select {
	case <-s.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// pause is a wait that doubles every time.
type pause struct{ next, longest time.Duration }

func newPause(shortest, longest time.Duration) *pause { return &pause{shortest, longest} }

// take returns how long to wait this time.
func (p *pause) take() time.Duration {
	d := p.next
	p.next = min(2*d, p.longest)
	return d
}

// wait returns false if ctx ends first.
func (p *pause) wait(ctx context.Context) bool { return proxy.Sleep(ctx, p.take()) }
