package app

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/tally"
)

// heard is a box that takes what it is told, unless it is away or never answers.
type heard struct {
	said  []string
	away  bool
	stuck bool
}

func (h *heard) TellLoop(ctx context.Context, numbers []byte) error {
	switch {
	case h.stuck:
		<-ctx.Done()
		return ctx.Err()
	case h.away:
		return errors.New("nobody there")
	}
	h.said = append(h.said, string(numbers))
	return nil
}

func edit(counted *tally.Tally) {
	counted.Take(event.Event{Kind: event.Changed, Service: "hello"})
	counted.Take(event.Event{Kind: event.RevisionLive, Service: "hello"})
}

func TestTellLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted, box := tally.New(), &heard{}
		end := tellLoop(t.Context(), box, counted)
		pass := func(d time.Duration, want int, why string) {
			t.Helper()
			time.Sleep(d)
			synctest.Wait()
			if len(box.said) != want {
				t.Errorf("%s: told %d times, want %d", why, len(box.said), want)
			}
		}
		pass(time.Minute, 0, "nothing to tell")
		edit(counted)
		pass(tellEvery, 1, "an edit")
		pass(tellAnyway-tellEvery, 1, "nothing new")
		pass(tellEvery, 2, "it is still there")
		box.away = true
		edit(counted)
		pass(time.Minute, 2, "the box is away")
		box.away = false
		pass(tellEvery, 3, "it is back")
		edit(counted)
		end()
		pass(time.Hour, 4, "the last word")
		if last := box.said[3]; !strings.Contains(last, `devbox_loop_edits_total{outcome="live",service_name="hello"} 3`) {
			t.Errorf("last told:\n%s", last)
		}
	})
}

// TestTellLoopNeverHoldsUp: a box that takes no word costs the end of a
// session half a second.
func TestTellLoopNeverHoldsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := tally.New()
		ctx, cancel := context.WithCancel(t.Context())
		end := tellLoop(ctx, &heard{stuck: true}, counted)
		edit(counted)
		time.Sleep(time.Minute)
		began := time.Now()
		cancel()
		end()
		if took := time.Since(began); took != lastWord {
			t.Errorf("the end took %s", took)
		}
	})
}
