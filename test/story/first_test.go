//go:build e2e

package story

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/terminal"
)

// firstCommand is how the README begins.
const firstCommand = "$ go run ./cmd/devbox up ./examples/hello"

// TestFirstCommand plays the README's first command, in a clone of what is
// committed and without Docker: five saves, one that does not compile and one
// that crashes among them. What a terminal shows of it has to be what the pages
// have, but for times and numbers of ports; DEVBOX_STORY=write writes it there.
func TestFirstCommand(t *testing.T) {
	s := &screen{}
	f := begin(t, terminal.NewLive(s, s, func() int { return 120 }, false))
	f.live("hello-00001")
	f.save(`"Hello %s!\n"`, `"Good day %s!\n"`)
	f.live("hello-00002")
	f.save(`"Good day %s!\n", target`, `"Good day %s!\n", nobody`)
	f.until("an error of the compiler", func(e event.Event) bool { return e.Kind == event.BuildFailed })
	f.save(`"Good day %s!\n", nobody`, `"Good day %s!\n", target`)
	f.live("hello-00002")
	f.save("func main() {\n", "func main() {\n\tpanic(\"on purpose\")\n")
	f.until("a crash", func(e event.Event) bool { return e.Kind == event.RevisionFailed })
	f.save("\tpanic(\"on purpose\")\n", "")
	f.live("hello-00004")
	f.end()
	got := firstCommand + "\n" + strings.ReplaceAll(s.String(), f.clone, "/src")
	t.Log(got)
	for _, page := range []string{"README.md", "docs/embedded.md"} {
		hold(t, filepath.Join(root, page), got)
	}
}

// first is a running `devbox up` in a clone.
type first struct {
	t       *testing.T
	cmd     *exec.Cmd
	clone   string // a directory
	main    string
	reader  terminal.Reader
	decoder *json.Decoder
}

func begin(t *testing.T, reader terminal.Reader) *first {
	t.Helper()
	clone := filepath.Join(t.TempDir(), "src")
	if out, err := exec.Command("git", "clone", "--quiet", "--shared", root, clone).CombinedOutput(); err != nil {
		t.Fatalf("git clone: %v\n%s", err, out)
	}
	bin, err := filepath.Abs(root + "/bin/devbox")
	if err != nil {
		t.Fatal(err)
	}
	environment := append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir(), "KUBECONFIG="+filepath.Join(t.TempDir(), "kubeconfig"),
		"DOCKER_HOST=unix:///nowhere/docker.sock", "DEVBOX_ENGINE=", "DEVBOX_IMAGES=")
	f := &first{t: t, clone: clone, main: filepath.Join(clone, "examples/hello/main.go"), reader: reader}
	f.cmd = exec.Command(bin, "up", "-o", "json", "./examples/hello")
	f.cmd.Dir, f.cmd.Env = clone, environment
	out, err := f.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	f.decoder = json.NewDecoder(out)
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill() // it has ended, if all went well
		down := exec.Command(bin, "down")
		down.Env = environment
		if out, err := down.CombinedOutput(); err != nil {
			t.Errorf("devbox down: %v\n%s", err, out)
		}
	})
	return f
}

// until shows the events up to one.
func (f *first) until(what string, is func(event.Event) bool) {
	f.t.Helper()
	late := time.AfterFunc(patience, func() { _ = f.cmd.Process.Kill() })
	defer late.Stop()
	for {
		var e event.Event
		if err := f.decoder.Decode(&e); err != nil {
			f.t.Fatalf("waiting for %s: %v", what, err)
		}
		f.reader.Show(e)
		if is(e) {
			return
		}
	}
}

func (f *first) live(revision string) {
	f.t.Helper()
	f.until(revision+" live", func(e event.Event) bool { return e.Kind == event.RevisionLive && e.Revision == revision })
	if revision == "hello-00001" {
		f.until("that it is watched", func(e event.Event) bool { return e.Kind == event.Watching })
	}
}

// save does what an editor does.
func (f *first) save(old, replacement string) {
	f.t.Helper()
	text, err := os.ReadFile(f.main)
	if err != nil {
		f.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		f.t.Fatalf("there is no %q in\n%s", old, text)
	}
	if err := os.WriteFile(f.main, []byte(strings.Replace(string(text), old, replacement, 1)), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// end does what Ctrl-C does.
func (f *first) end() {
	f.t.Helper()
	if err := f.cmd.Process.Signal(syscall.SIGINT); err != nil {
		f.t.Fatal(err)
	}
	for {
		var e event.Event
		if f.decoder.Decode(&e) != nil {
			break
		}
		f.reader.Show(e)
	}
	f.reader.Close()
	if err := f.cmd.Wait(); err != nil {
		f.t.Errorf("devbox up: %v", err)
	}
}

// hold holds a transcript against that of a page, or puts it there.
func hold(t *testing.T, page, got string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const fence = "```"
	before, rest, found := strings.Cut(string(text), fence+"console\n"+firstCommand+"\n")
	there, after, ends := strings.Cut(rest, fence+"\n")
	if !found || !ends {
		t.Fatalf("%s has no block of console that begins with %q", page, firstCommand)
	}
	if os.Getenv("DEVBOX_STORY") == "write" {
		text := before + fence + "console\n" + got + fence + "\n" + after
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := firstCommand + "\n" + there; timeless(got) != timeless(want) {
		t.Errorf("%s has another transcript (DEVBOX_STORY=write writes this one there):\n%s", page, got)
	}
}

// changes are what is another thing each time, and white space, which depends
// on how wide that is.
var changes = regexp.MustCompile(`\d[\d.]*(ms|s|m)\b|127\.0\.0\.1:\d+|\d+ (GiB|cores)|\s+`)

// timeless is a transcript without what changes. Steps that run side by side end
// in any order.
func timeless(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(changes.ReplaceAllString(line, " ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// screen is a terminal that keeps what a person sees in the end. It knows the
// four commands that package terminal gives.
type screen struct {
	mu    sync.Mutex
	lines []string
	at    int
}

var control = regexp.MustCompile(`^\x1b\[(\d*)([AKJ])`)

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for text := p; len(text) > 0; {
		if found := control.FindSubmatch(text); found != nil {
			s.obey(string(found[1]), found[2][0])
			text = text[len(found[0]):]
			continue
		}
		s.take(text[0])
		text = text[1:]
	}
	return len(p), nil
}

func (s *screen) obey(number string, command byte) {
	switch command {
	case 'A':
		up := 1
		_, _ = fmt.Sscan(number, &up) // none is one
		s.at = max(0, s.at-up)
		if s.at < len(s.lines) {
			s.lines[s.at] = "" // each line is written anew as a whole
		}
	case 'J':
		s.lines = s.lines[:min(len(s.lines), s.at)]
	}
}

func (s *screen) take(b byte) {
	for len(s.lines) <= s.at {
		s.lines = append(s.lines, "")
	}
	switch b {
	case '\r':
	case '\n':
		if s.at++; s.at < len(s.lines) {
			s.lines[s.at] = ""
		}
	default:
		s.lines[s.at] += string([]byte{b})
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b bytes.Buffer
	for _, line := range s.lines {
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}
