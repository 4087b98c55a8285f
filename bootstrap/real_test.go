//go:build e2e

package bootstrap

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

func config(t *testing.T) Config {
	start := time.Now()
	return Config{ImagesDir: os.Getenv("DEVBOX_IMAGES"), Events: func(e event.Event) {
		t.Logf("%6.2f %-14s %-10s %s%s %v", time.Since(start).Seconds(), e.Kind, e.Step, e.Message, e.Error, e.Duration.Round(time.Millisecond))
	}}
}

func TestUp(t *testing.T) {
	if _, err := Up(context.Background(), config(t)); err != nil {
		t.Fatal(err)
	}
}

func TestDown(t *testing.T) {
	if err := Down(context.Background(), "", config(t).Events); err != nil {
		t.Fatal(err)
	}
}
