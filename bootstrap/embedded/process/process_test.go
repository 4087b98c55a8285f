package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// TestMain lets the test binary be a box process, of the kind that its first
// argument names, of the box in the directory that its second does.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && strings.HasPrefix(os.Args[1], "box:") {
		os.Exit(boxProcess(strings.TrimPrefix(os.Args[1], "box:"), os.Args[2]))
	}
	os.Exit(m.Run())
}

func boxProcess(kind, dir string) int {
	events, closeEvents := Events()
	defer closeEvents()
	release, err := Hold(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 3
	}
	defer release()
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	events.Emit(event.Event{Kind: event.StepStarted, Step: "api"})
	switch kind {
	case "fails":
		events.Emit(event.Event{Kind: event.StepFailed, Step: "api", Error: "no room", Hint: "make some"})
		return 1
	case "crashes":
		panic("on purpose")
	case "slow": // it never gets ready
	case "good":
		events.Emit(event.Event{Kind: event.BoxReady, URL: "http://127.0.0.1:1"})
		closeEvents()
		events.Emit(event.Event{Kind: event.Note, Message: "to nobody"})
	}
	<-asked
	return 0
}

// spawn starts a box process of the kind and returns what it told.
func spawn(ctx context.Context, t *testing.T, dir, kind string) ([]event.Kind, error) {
	t.Helper()
	var told []event.Kind
	err := Spawn(ctx, dir, []string{os.Args[0], "box:" + kind, dir}, func(e event.Event) { told = append(told, e.Kind) })
	t.Cleanup(func() {
		if p, err := Find(context.Background(), dir); err == nil && p != nil {
			if err := p.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}
	})
	return told, err
}

// running is the box process, which there must or must not be.
func running(t *testing.T, dir string, want bool) *Process {
	t.Helper()
	p, err := Find(t.Context(), dir)
	if err != nil || (p != nil) != want {
		t.Fatalf("found %+v, %v; want one: %v", p, err, want)
	}
	return p
}

func TestLife(t *testing.T) {
	dir := t.TempDir()
	running(t, dir, false)
	told, err := spawn(t.Context(), t, dir, "good")
	if err != nil || !slices.Equal(told, []event.Kind{event.StepStarted}) {
		t.Fatalf("told %v, %v", told, err)
	}
	p := running(t, dir, true)
	program, err := own()
	if err != nil || p.Program != program {
		t.Errorf("its program is %q, ours %q, %v", p.Program, program, err)
	}
	if session, err := syscall.Getpgid(p.PID); err != nil || session != p.PID {
		t.Errorf("it is in process group %d, %v; a terminal's Ctrl-C would end it", session, err)
	}
	if _, err := Hold(dir); !errors.Is(err, ErrRunning) {
		t.Errorf("a second one: %v, want %v", err, ErrRunning)
	}
	if err := p.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	running(t, dir, false)
	if err := p.Stop(t.Context()); err != nil {
		t.Errorf("stopping what has ended: %v", err)
	}
}

func TestKilledIsGone(t *testing.T) {
	dir := t.TempDir()
	if _, err := spawn(t.Context(), t, dir, "good"); err != nil {
		t.Fatal(err)
	}
	p := running(t, dir, true)
	if err := syscall.Kill(p.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if !p.gone(t.Context()) {
		t.Error("it is still found")
	}
	if _, err := spawn(t.Context(), t, dir, "good"); err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestFailureIsTold(t *testing.T) {
	dir := t.TempDir()
	told, err := spawn(t.Context(), t, dir, "fails")
	var failed *Failure
	if !errors.As(err, &failed) || *failed != (Failure{"api", "no room", "make some"}) {
		t.Errorf("got %v", err)
	}
	if !slices.Equal(told, []event.Kind{event.StepStarted, event.StepFailed}) {
		t.Errorf("told %v", told)
	}
	running(t, dir, false)
}

func TestLastWordsAreKept(t *testing.T) {
	dir := t.TempDir()
	_, err := spawn(t.Context(), t, dir, "crashes")
	if err == nil || !strings.Contains(err.Error(), "panic: on purpose") {
		t.Errorf("got %v, want its last words", err)
	}
	log, err := os.ReadFile(filepath.Join(dir, LogName))
	if err != nil || !strings.Contains(string(log), "panic: on purpose") {
		t.Errorf("its log: %q, %v", log, err)
	}
}

func TestInterruptedStart(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for p, _ := Find(ctx, dir); p == nil && ctx.Err() == nil; p, _ = Find(ctx, dir) {
			time.Sleep(time.Millisecond) // until it has started
		}
		cancel()
	}()
	if _, err := spawn(ctx, t, dir, "slow"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	running(t, dir, false)
}

func TestUnfinishedRecord(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "process.json"), []byte(`{"pid":`), 0o600); err != nil {
		t.Fatal(err)
	}
	running(t, dir, false) // nobody holds it
}
