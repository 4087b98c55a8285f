//go:build scratch

package bootstrap

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

func cpu() float64 {
	m, _ := filepath.Glob("/sys/fs/cgroup/cpuacct/docker/*/cpuacct.usage")
	var sum float64
	for _, f := range m {
		b, _ := os.ReadFile(f)
		n, _ := strconv.ParseFloat(strings.TrimSpace(string(b)), 64)
		sum += n / 1e9
	}
	return sum
}

func TestScratchUp(t *testing.T) {
	start := time.Now()
	_, err := Up(context.Background(), Config{ImagesDir: os.Getenv("DEVBOX_IMAGES"), Events: func(e event.Event) {
		t.Logf("%6.2f cpu %6.2f %-13s %-9s %s%s", time.Since(start).Seconds(), cpu(), e.Kind, e.Step, e.Message, e.Error)
	}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestScratchDown(t *testing.T) {
	if err := Down(context.Background(), "", nil); err != nil {
		t.Fatal(err)
	}
}
