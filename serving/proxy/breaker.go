package proxy

import (
	"context"
	"errors"
	"sync/atomic"
)

// ErrFull is returned for a request that would wait behind a full queue.
var ErrFull = errors.New("too many requests are waiting")

// Breaker lets a bounded number of requests run and a bounded number wait,
// in the order in which they came.
type Breaker struct {
	running chan struct{} // holds one token for each request that runs
	present atomic.Int64  // requests that run or wait
	most    int64
}

// NewBreaker returns a Breaker for running requests at a time and waiting
// more behind them.
func NewBreaker(running, waiting int) *Breaker {
	return &Breaker{running: make(chan struct{}, running), most: int64(running + waiting)}
}

// Enter waits for the request's turn. It returns ErrFull at once when there is
// no room to wait in, and ctx's cause when ctx ends first. After a nil error
// the caller calls Leave.
func (b *Breaker) Enter(ctx context.Context) error {
	if b.present.Add(1) > b.most {
		b.present.Add(-1)
		return ErrFull
	}
	select {
	case b.running <- struct{}{}:
		return nil
	default:
	}
	select {
	case b.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		b.present.Add(-1)
		return context.Cause(ctx)
	}
}

// Leave makes room for the next request.
func (b *Breaker) Leave() {
	<-b.running
	b.present.Add(-1)
}

// Waiting is the number of requests that wait at this moment.
func (b *Breaker) Waiting() int {
	return max(0, int(b.present.Load())-len(b.running))
}
