package terminal

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kind-in-a-box/devbox/internal/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

// session is a recorded one: everything that can happen, once.
func session(t *testing.T) []event.Event {
	t.Helper()
	recorded, err := os.ReadFile("testdata/session.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var events []event.Event
	for line := range bytes.Lines(recorded) {
		var e event.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		events = append(events, e)
	}
	return events
}

// golden compares got with a file, or writes the file under -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}

func TestJSONIsOneEventALine(t *testing.T) {
	var out bytes.Buffer
	reader := NewJSON(&out)
	for _, e := range session(t) {
		reader.Show(e)
	}
	reader.Close()
	golden(t, "session.jsonl", out.String()) // the very bytes it was recorded as
}

func TestPlain(t *testing.T) {
	var out, progress bytes.Buffer
	reader := NewPlain(&out, &progress)
	for _, e := range session(t) {
		reader.Show(e)
	}
	reader.Close()
	golden(t, "session.plain", "-- progress --\n"+progress.String()+"-- out --\n"+out.String())
}

// TestLive looks at the screen when the session is over.
func TestLive(t *testing.T) {
	for _, columns := range []int{100, 50} {
		t.Run(fmt.Sprint(columns), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				terminal := newScreen(columns)
				play(NewLive(terminal, terminal, func() int { return columns }, true), session(t), nil)
				golden(t, fmt.Sprintf("session.live%d", columns), terminal.String())
			})
		})
	}
}

// TestLivePictures looks at moments of it, at the pace of the recording.
func TestLivePictures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pictures strings.Builder
		terminal := newScreen(80)
		reader := NewLive(terminal, terminal, func() int { return 80 }, false)
		start := time.Now()
		play(reader, session(t)[:22], func() {
			fmt.Fprintf(&pictures, "-- %v --\n%s", time.Since(start), terminal)
		})
		golden(t, "session.pictures", pictures.String())
	})
}

// play shows events with their recorded distances and takes a picture after
// every third.
func play(reader Reader, events []event.Event, picture func()) {
	for i, e := range events {
		if i > 0 {
			time.Sleep(e.Time.Sub(events[i-1].Time))
		}
		reader.Show(e)
		if picture != nil && i%3 == 1 {
			synctest.Wait()
			picture()
		}
	}
	reader.Close()
}

func TestLiveSpins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		terminal := newScreen(60)
		reader := NewLive(terminal, terminal, func() int { return 60 }, true)
		reader.Show(event.Event{Kind: event.StepStarted, Step: "cluster", Message: "creating the node"})

		var seen []string
		for range 3 {
			seen = append(seen, terminal.String())
			time.Sleep(10*frameTime + frameTime/2)
			synctest.Wait()
		}
		reader.Close()
		seen = append(seen, terminal.String())

		want := []string{
			" ⠋ cluster     creating the node\n",
			" ⠋ cluster     creating the node" + strings.Repeat(" ", 23) + "1.0s\n",
			" ⠙ cluster     creating the node" + strings.Repeat(" ", 23) + "2.1s\n",
			"\n",
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("pictures (-want +got):\n%s", diff)
		}
	})
}

func TestLiveKeepsItsPlaceWhenTheTerminalShrinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		columns := 80
		var raw bytes.Buffer
		reader := NewLive(&raw, &raw, func() int { return columns }, false)
		defer reader.Close()
		reader.Show(event.Event{Kind: event.StepStarted, Step: "cluster", Message: strings.Repeat("x", 60)})
		columns = 40
		raw.Reset()
		reader.Show(event.Event{Kind: event.StepProgress, Step: "cluster", Message: "ready soon"})

		if got, want := raw.String(), "\r\x1b[2A"; !strings.HasPrefix(got, want) {
			t.Errorf("a row of 75 columns is two lines of 40, but the picture begins with %q, not %q", got, want)
		}
	})
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"plain text, ünïcödé ✓":               "plain text, ünïcödé ✓",
		"\x1b[1;31mred\x1b[0m":                "red",
		"\x1b]0;a title\aafter":               "after",
		"\x1b]8;;http://x\x1b\\link":          "link",
		"a\tb\rc\x00d\x7f":                    "a    bcd",
		"\x1b(B\x1b[2Jcleared \x1b[10;10Hnot": "(Bcleared not",
	} {
		if got := Clean(text); got != want {
			t.Errorf("Clean(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                        "0µs",
		850 * time.Microsecond:   "850µs",
		40 * time.Millisecond:    "40ms",
		999 * time.Millisecond:   "999ms",
		1960 * time.Millisecond:  "1.9s",
		11800 * time.Millisecond: "11.8s",
		59990 * time.Millisecond: "59.9s",
		123 * time.Second:        "2m03s",
		61 * time.Minute:         "61m00s",
	} {
		if got := duration(d); got != want {
			t.Errorf("duration(%v) = %q, want %q", int64(d), got, want)
		}
	}
}

// TestDeleted: what somebody deleted goes on serving in no sentence that follows,
// and is told with its address when it is made again.
func TestDeleted(t *testing.T) {
	var out, progress bytes.Buffer
	reader := NewPlain(&out, &progress)
	reader.Show(event.Event{Kind: event.BoxReady, URL: "http://127.0.0.1:8080"})
	live := event.Event{Kind: event.RevisionLive, Service: "hello", Revision: "hello-00002", Host: "hello.default.example.com"}
	reader.Show(live)
	reader.Show(event.Event{Kind: event.ServiceDeleted, Service: "hello", Message: "somebody has deleted the Service", Hint: "the next save makes it again"})
	reader.Show(event.Event{Kind: event.BuildFailed, Service: "hello", Error: "main.go:1:1: no"})
	reader.Show(live)
	reader.Close()
	if got := progress.String(); strings.Contains(got, "goes on serving") || !strings.Contains(got, "somebody has deleted the Service\nhint: the next save makes it again") {
		t.Errorf("got %s", got)
	}
	if n := strings.Count(out.String(), "curl"); n != 2 {
		t.Errorf("the address is told %d times, want 2: %s", n, &out)
	}
}

// TestUnfound: a service that no browser finds has the reason in the place of an
// address that nothing answers at.
func TestUnfound(t *testing.T) {
	var out, progress bytes.Buffer
	reader := NewPlain(&out, &progress)
	reader.Show(event.Event{Kind: event.BoxReady, URL: "http://127.0.0.1:8080"})
	reader.Show(event.Event{Kind: event.RevisionLive, Service: "hello", Revision: "hello-00001", Host: "hello.fixed.test", Unfound: "none of its hosts is one"})
	reader.Close()
	want := "curl -H 'Host: hello.fixed.test' http://127.0.0.1:8080\nno browser finds it: none of its hosts is one\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
