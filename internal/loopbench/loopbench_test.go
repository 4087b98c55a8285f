package loopbench

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
)

func TestSpread(t *testing.T) {
	var times []time.Duration
	for ms := 40; ms > 0; ms-- {
		times = append(times, time.Duration(ms)*time.Millisecond)
	}
	if got, want := spread(times), (Spread{20 * time.Millisecond, 38 * time.Millisecond, 40 * time.Millisecond}); got != want {
		t.Errorf("of 1 to 40 ms: %v, want %v", got, want)
	}
	if got := spread(times[:1]); got.Median != got.Worst || got.P95 != got.Worst {
		t.Errorf("of one: %v", got)
	}
	if got := spread(nil); got != (Spread{}) {
		t.Errorf("of none: %v", got)
	}
}

func TestReport(t *testing.T) {
	taken := taken{phases: map[string][]time.Duration{}, ways: map[string]int{}}
	taken.plain, taken.stripped = []time.Duration{800 * time.Millisecond}, []time.Duration{400 * time.Millisecond}
	taken.saw(600*time.Millisecond, "by the compiler and the linker alone", []event.Phase{{Name: "notice", Duration: 30 * time.Millisecond}, {Name: "build", Duration: 300 * time.Millisecond}})
	r := &Report{Service: "hello-bench", Engine: "embedded", Package: "/src", Pause: 2 * time.Second}
	taken.fill(r)
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	const want = `1 edits of hello-bench on the embedded engine, 2s apart

              ms  median  p95  worst
    save to live     600  600    600
          notice      30   30     30
           build     300  300    300
        go build     800  800    800
  go build -s -w     400  400    400

A save is live after 0.75 of the time of go build, 1.50 of that without symbols.
1 of 1 were made by the compiler and the linker alone.
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	var back Report
	data, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &back); err != nil || back.Phases[1] != r.Phases[1] || back.Live != r.Live {
		t.Errorf("as JSON it is %s, %v", data, err)
	}
}

// TestEdits are each another program, by what is saved and by the overlay.
func TestEdits(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module example.com/tiny\n\ngo 1.26\n")
	write(t, filepath.Join(dir, "main.go"), "package main\n\nfunc main() {}\n")
	e, err := newEdited(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := compiler{edited: e, dir: dir, tmp: t.TempDir()}
	programs := map[string]bool{}
	read := func(path string) {
		t.Helper()
		program, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		programs[string(program)] = true
	}
	for _, word := range []string{"one", "two"} {
		if err := e.save(word); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "saved")
		build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, ".")
		build.Dir = dir
		if words, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, words)
		}
		read(out)
		if took, err := c.build(t.Context(), word+", overlaid", "-ldflags=-s -w -buildid="); took <= 0 || err != nil {
			t.Fatalf("took %v, %v", took, err)
		}
		read(filepath.Join(c.tmp, "program"))
	}
	if len(programs) != 4 {
		t.Errorf("there are %d programs, want 4", len(programs))
	}
	again, err := newEdited(dir)
	if err != nil {
		t.Fatalf("what a sudden end has left: %v", err)
	}
	if string(again.content("one")) == string(e.content("one")) {
		t.Error("the next measuring makes the same edit")
	}
	if _, err := os.Stat(e.path); err == nil {
		t.Errorf("%s stays", e.path)
	}
}

// TestAFileOfTheUsers is never touched.
func TestAFileOfTheUsers(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, fileName)
	write(t, path, "package main\n")
	if _, err := Run(context.Background(), Config{Package: dir}); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("error %v does not name the file", err)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "package main\n" {
		t.Errorf("it holds %q, %v", content, err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
