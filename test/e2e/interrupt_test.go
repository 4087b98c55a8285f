//go:build e2e

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/test/box"
)

// TestSecondInterrupt ends a `devbox up` that cannot end by itself: nobody
// reads what it says, as on a terminal that Ctrl-S has stopped. The first
// Ctrl-C waits for that, the second does not.
func TestSecondInterrupt(t *testing.T) {
	b := box.New(t, "devbox-stuck")
	cmd := b.Command(t.Context(), "up", "-o", "json", box.Project(t, "hello"))
	cmd.Stdout = fullPipe(t)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	box.Eventually(t, "the session has begun", func() bool {
		_, err := os.Stat(b.Folder() + ".session")
		return !errors.Is(err, fs.ErrNotExist)
	})
	interrupt := func() {
		t.Helper()
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}

	interrupt()
	select {
	case err := <-ended:
		t.Fatalf("after the first Ctrl-C: %v; want it to be telling something still", err)
	case <-time.After(time.Second):
	}
	interrupt()
	select {
	case err := <-ended:
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 130 {
			t.Errorf("after the second Ctrl-C: %v; want exit 130", err)
		}
	case <-time.After(time.Second):
		t.Error("a second after the second Ctrl-C it still runs")
	}
}

// fullPipe returns the writing end of a pipe that takes no byte more.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	if err := w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 16<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("filling a pipe: %v; want to run out of room", err)
	}
	return w
}
