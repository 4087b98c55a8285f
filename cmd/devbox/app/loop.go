package app

import (
	"context"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/tally"
)

const (
	// tellEvery is how often the box hears of what has changed, tellAnyway how
	// often it hears that the session is still there.
	tellEvery  = 2 * time.Second
	tellAnyway = 20 * time.Second
	// lastWord is how long the end of a session waits for its last word.
	lastWord = 500 * time.Millisecond
)

// hearer takes what a session has counted; a box is one.
type hearer interface {
	TellLoop(ctx context.Context, numbers []byte) error
}

// both is a sink that hands events to two.
func both(a, b event.Sink) event.Sink {
	return func(e event.Event) {
		a(e)
		b(e)
	}
}

// tellLoop tells the box what the session has counted, beside everything else,
// until ctx ends or end is called, which waits. Nothing depends on it, so
// nobody hears of a box that does not take it: it is told again.
func tellLoop(ctx context.Context, box hearer, counted *tally.Tally) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		t := telling{box: box, counted: counted}
		ticker := time.NewTicker(tellEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-ticker.C:
				t.tell(ctx)
			}
		}
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
		defer cancel()
		t.tell(last)
	}()
	return func() {
		cancel()
		<-done
	}
}

// telling is what a box has heard.
type telling struct {
	box     hearer
	counted *tally.Tally
	changes int
	at      time.Time
}

// tell says what has changed, and what has not from time to time. A session
// that has counted nothing says nothing.
func (t *telling) tell(ctx context.Context) {
	changes := t.counted.Changes()
	if changes == 0 || changes == t.changes && time.Since(t.at) < tellAnyway {
		return
	}
	numbers, err := t.counted.Text()
	if err != nil || t.box.TellLoop(ctx, numbers) != nil {
		return
	}
	t.changes, t.at = changes, time.Now()
}
