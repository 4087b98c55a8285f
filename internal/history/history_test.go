package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/internal/event"
)

var origin = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// note is the event of a number, a second after the one before it.
func note(n int) event.Event {
	return event.Event{Time: origin.Add(time.Duration(n) * time.Second), Kind: event.Note, Message: fmt.Sprint(n)}
}

func record(path string, events ...event.Event) {
	r := Record(path)
	for _, e := range events {
		r.Show(e)
	}
	r.Close()
}

func messages(t *testing.T, path string) string {
	t.Helper()
	events, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	return join(events)
}

func join(events []event.Event) string {
	said := make([]string, len(events))
	for i, e := range events {
		said[i] = e.Message
	}
	return strings.Join(said, " ")
}

func TestSessionsFollowEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	record(path, note(1), note(2))
	record(path, note(3))
	if got := messages(t, path); got != "1 2 3" {
		t.Errorf("read %s", got)
	}
}

func TestReadsAllOfAnEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	want := event.Event{
		Time: origin, Kind: event.RevisionLive, Service: "hello", Revision: "hello-00002", Files: []string{"a.go", "<b>"},
		Duration: time.Second, Phases: []event.Phase{{Name: "build", Duration: time.Millisecond}}, Error: "two\nlines",
	}
	record(path, want)
	got, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]event.Event{want}, got); diff != "" {
		t.Error(diff)
	}
}

func TestLinesThatAreNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	if got := messages(t, path); got != "" {
		t.Errorf("of no file, read %s", got)
	}
	record(path, note(1))
	add(t, path, "\nnull\n[]\n\x00\xff\n{\"kind\":7}\n{\"time\":\"2026-01-02T03:04:")
	record(path, note(2)) // the next session, after one that was killed within a line
	if got := messages(t, path); got != "1 2" {
		t.Errorf("read %s", got)
	}
}

func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestNoFolderIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "box", "events.jsonl")
	record(path, note(1))
	if _, err := os.Stat(filepath.Dir(path)); err == nil {
		t.Error("there is a folder for a box that never came about")
	}
	r := Record(path)
	r.Show(note(1))
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	r.Show(note(2))
	r.Close()
	if got := messages(t, path); got != "1 2" {
		t.Errorf("read %s: what came before the folder belongs to it", got)
	}
}

func TestBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	long := strings.Repeat("x", 100<<10)
	r := Record(path)
	for n := range 100 {
		e := note(n)
		e.Error = long
		r.events <- e // as fast as the disk
	}
	r.Close()
	var size int64
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err == nil { // one may just be removed
			size += info.Size()
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s is %v: what a service logs is its owner's to read", entry.Name(), info.Mode())
		}
	}
	if size > 3*megabytes<<20 {
		t.Errorf("ten megabytes of events left %d bytes", size)
	}
	events, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if want := fmt.Sprint(100 - len(events) + i); e.Message != want {
			t.Fatalf("event %d of %d is %s, want %s", i, len(events), e.Message, want)
		}
	}
}

// TestNeverWaits has a disk that does not write at all.
func TestNeverWaits(t *testing.T) {
	r := &Recorder{events: make(chan event.Event, 1), ended: make(chan struct{})}
	for n := range 10 {
		r.Show(note(n))
	}
	if got := (<-r.events).Message; got != "0" {
		t.Errorf("kept %s, want the first", got)
	}
}

func TestFollow(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "events.jsonl")
	ctx, stop := context.WithCancel(t.Context())
	told, ended := make(chan string, 100), make(chan error, 1)
	go func() {
		ended <- Follow(ctx, path, func(e event.Event) { told <- e.Message })
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-told:
			if got != want {
				t.Fatalf("told %s, want %s", got, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing was told, want %s", want)
		}
	}
	record(path, note(1)) // the file comes later
	expect("1")
	add(t, path, `{"time":"2026-01-02T03:04:05Z","kind":"note",`)
	add(t, path, `"message":"in two writes"}`+"\n")
	expect("in two writes")
	if err := os.Rename(path, filepath.Join(dir, "events-2026-01-02T03-04-05.000.jsonl")); err != nil {
		t.Fatal(err)
	}
	record(path, note(2)) // begun anew
	expect("2")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	record(path, note(3)) // the box of the same name, made anew
	expect("3")
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
