package box

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

var errBroken = errors.New("broken")

// TestPartsStopLastFirst has each part end before those that it leans on are
// told to.
func TestPartsStopLastFirst(t *testing.T) {
	p := newParts()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var lives []context.Context
	var ended []int
	for i := range 3 {
		began := make(chan struct{}, 1)
		p.start(ctx, "a part", func(life context.Context) error {
			mu.Lock()
			lives = append(lives, life)
			mu.Unlock()
			began <- struct{}{}
			<-life.Done()
			mu.Lock()
			defer mu.Unlock()
			for _, below := range lives[:i] {
				if below.Err() != nil {
					t.Errorf("a part below %d has been told to stop", i)
				}
			}
			ended = append(ended, i)
			return nil
		})
		if _, err := await(ctx, p, "a part", began); err != nil {
			t.Fatal(err)
		}
	}
	cancel() // which is the end of who has started them
	mu.Lock()
	for i, life := range lives {
		if life.Err() != nil {
			t.Errorf("part %d ended with the context it was started with", i)
		}
	}
	mu.Unlock()
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if !slices.Equal(ended, []int{2, 1, 0}) {
		t.Errorf("they ended in the order %v", ended)
	}
	if err := p.stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	if p.err() != nil {
		t.Errorf("a part that was told to stop has failed: %v", p.err())
	}
}

// TestPartThatFails is told of to all who wait for any part, and later ones
// do not change why.
func TestPartThatFails(t *testing.T) {
	for name, c := range map[string]struct {
		ends error
		want string
	}{
		"with an error": {errBroken, "running the part: broken"},
		"without one":   {nil, "the part has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParts()
			never := make(chan struct{})
			var waiting sync.WaitGroup
			for range 5 {
				waiting.Go(func() {
					if _, err := await(t.Context(), p, "another", never); err == nil || err.Error() != c.want {
						t.Errorf("got %v, want %s", err, c.want)
					}
				})
			}
			p.start(t.Context(), "the part", func(context.Context) error { return c.ends })
			waiting.Wait()
			p.fail(errors.New("what comes of it"))
			if err := p.stop(); err != nil {
				t.Errorf("stop: got %v, which has been told already", err)
			}
			if got := p.err().Error(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestPartThatFailsWhenItIsStopped(t *testing.T) {
	p := newParts()
	p.start(t.Context(), "one", func(life context.Context) error { <-life.Done(); return errBroken })
	p.start(t.Context(), "two", func(life context.Context) error { <-life.Done(); return errors.New("worn") })
	err := p.stop()
	if !errors.Is(err, errBroken) || !strings.Contains(err.Error(), "running one: broken") || !strings.Contains(err.Error(), "running two: worn") {
		t.Errorf("got %v, want both", err)
	}
}

func TestAwaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errBroken)
	_, err := await(ctx, newParts(), "the part", make(chan struct{}))
	if !errors.Is(err, errBroken) || !strings.HasPrefix(err.Error(), "starting the part: ") {
		t.Errorf("got %v", err)
	}
}
