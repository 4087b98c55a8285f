package proxy

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

func TestBreakerRunsWaitsAndRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(1, 2)
		if err := b.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		turns := make(chan int, 2)
		for i := range 2 {
			go func() {
				if err := b.Enter(t.Context()); err != nil {
					t.Error(err)
				}
				turns <- i
			}()
			synctest.Wait() // so that they wait in this order
		}
		if got := b.Waiting(); got != 2 {
			t.Errorf("%d wait, want 2", got)
		}
		if err := b.Enter(t.Context()); !errors.Is(err, ErrFull) {
			t.Errorf("the fourth got %v", err)
		}
		for i := range 2 {
			b.Leave()
			synctest.Wait()
			if got := <-turns; got != i {
				t.Errorf("request %d had turn %d", got, i)
			}
		}
		b.Leave()
		if b.Waiting() != 0 || b.present.Load() != 0 {
			t.Error("somebody is left")
		}
	})
}

func TestBreakerGivesUpWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBreaker(1, 1)
		if err := b.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		why := errors.New("why")
		ctx, cancel := context.WithCancelCause(t.Context())
		got := make(chan error, 1)
		go func() { got <- b.Enter(ctx) }()
		synctest.Wait()
		cancel(why)
		if err := <-got; !errors.Is(err, why) {
			t.Errorf("got %v", err)
		}
		if b.Waiting() != 0 {
			t.Error("who has gone still waits")
		}
	})
}

func BenchmarkBreaker(b *testing.B) {
	breaker := NewBreaker(1000, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := breaker.Enter(b.Context()); err != nil {
				b.Fatal(err)
			}
			breaker.Leave()
		}
	})
}
