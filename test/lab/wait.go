package main

import (
	"context"
	"errors"
	"time"
)

// errOver ends waitFor before its time: what it waits for cannot happen any
// more.
var errOver = errors.New("it has ended")

// waitFor tries until it succeeds or patience ends, and returns the last error.
func waitFor(ctx context.Context, patience time.Duration, try func() error) error {
	for deadline := time.Now().Add(patience); ; {
		err := try()
		if err == nil || errors.Is(err, errOver) || time.Now().After(deadline) {
			return err
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
