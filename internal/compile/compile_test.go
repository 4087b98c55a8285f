package compile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// program is one of a module of its own that prints a word.
func program(t *testing.T) Program {
	t.Helper()
	p := Program{Source: t.TempDir(), Folders: []string{"cmd"}, Package: "example.com/word/cmd/word", Dir: filepath.Join(t.TempDir(), "programs")}
	write(t, p, "go.mod", "module example.com/word\n\ngo 1.26\n")
	write(t, p, "go.sum", "")
	write(t, p, "cmd/word/main.go", says("one"))
	return p
}

func says(word string) string {
	return "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(\"" + word + "\") }\n"
}

func write(t *testing.T, p Program, file, text string) {
	t.Helper()
	path := filepath.Join(p.Source, file)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// get returns the program, which must say word, and what was said meanwhile.
func get(t *testing.T, p Program, word string) (path string, said []string) {
	t.Helper()
	path, err := p.Get(t.Context(), func(message string) { said = append(said, message) })
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path).Output()
	if err != nil || string(out) != word {
		t.Errorf("it says %q, %v, want %q", out, err, word)
	}
	return path, said
}

// TestGet compiles a program once for each state of its source.
func TestGet(t *testing.T) {
	p := program(t)
	first, said := get(t, p, "one")
	if len(said) < 2 || said[len(said)-1] != "linking" {
		t.Errorf("told %q", said)
	}
	if again, said := get(t, p, "one"); again != first || len(said) > 0 {
		t.Errorf("the same source gave %s and told %q, not %s", again, said, first)
	}
	write(t, p, "cmd/word/main_test.go", "package main\n")
	write(t, p, "README.md", "words")
	if again, _ := get(t, p, "one"); again != first {
		t.Error("a test and a text are in the key")
	}
	write(t, p, "cmd/word/main.go", says("two"))
	second, _ := get(t, p, "two")
	if second == first {
		t.Error("another source gave the same program")
	}
	write(t, p, "cmd/word/main.go", says("one"))
	if again, said := get(t, p, "one"); again != first || len(said) > 0 {
		t.Errorf("the source of before was compiled again: %q", said)
	}
}

// TestDamaged: what is not as it was made is made again.
func TestDamaged(t *testing.T) {
	p := program(t)
	path, _ := get(t, p, "one")
	for name, harm := range map[string]func() error{
		"half written": func() error { return os.Truncate(path, 1000) },
		"gone":         func() error { return os.Remove(path) },
		"no stamp":     func() error { return os.Remove(path + stampSuffix) },
	} {
		if err := harm(); err != nil {
			t.Fatal(err)
		}
		if _, said := get(t, p, "one"); len(said) == 0 {
			t.Errorf("%s: it was taken as it is", name)
		}
	}
}

// TestKeptPrograms: those that nobody has used for longest go, and nothing is
// left of the making.
func TestKeptPrograms(t *testing.T) {
	p := program(t)
	made := map[string]string{}
	for _, word := range []string{"one", "two", "three", "one", "four"} {
		write(t, p, "cmd/word/main.go", says(word))
		made[word], _ = get(t, p, word)
	}
	if _, err := os.Stat(made["two"]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the one not used for longest is still there: %v", err)
	}
	if _, err := os.Stat(made["one"]); err != nil {
		t.Errorf("one that was used again is gone: %v", err)
	}
	left, err := os.ReadDir(p.Dir)
	if err != nil || len(left) != 3*kept {
		t.Errorf("%d files for %d programs, %v", len(left), kept, err)
	}
}

func TestFailures(t *testing.T) {
	t.Run("does not compile", func(t *testing.T) {
		p := program(t)
		write(t, p, "cmd/word/main.go", "package main\n\nfunc main() { nobody() }\n")
		_, err := p.Get(t.Context(), func(string) {})
		if err == nil || !strings.Contains(err.Error(), "cmd/word/main.go:3:15: undefined: nobody") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no go command", func(t *testing.T) {
		p := program(t)
		t.Setenv("PATH", t.TempDir())
		if _, err := p.Get(t.Context(), func(string) {}); !errors.Is(err, exec.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an older compiler", func(t *testing.T) {
		p := program(t)
		write(t, p, "go.mod", "module example.com/word\n\ngo 1.999\n")
		t.Setenv("GOPROXY", "off")
		if _, err := p.Get(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "1.999") {
			t.Errorf("got %v, want the version that it takes", err)
		}
	})
	t.Run("a module that is nowhere", func(t *testing.T) {
		p := program(t)
		write(t, p, "go.mod", "module example.com/word\n\ngo 1.26\n\nrequire example.com/other v1.0.0\n")
		write(t, p, "cmd/word/main.go", "package main\n\nimport _ \"example.com/other\"\n\nfunc main() {}\n")
		write(t, p, "go.sum", "example.com/other v1.0.0 h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nexample.com/other v1.0.0/go.mod h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
		t.Setenv("GOPROXY", "off")
		if _, err := p.Get(t.Context(), func(string) {}); !errors.Is(err, ErrNotFetched) || !strings.Contains(err.Error(), "cmd/word/main.go:3:8") {
			t.Errorf("got %v, want the line of what is missing", err)
		}
	})
	t.Run("interrupted", func(t *testing.T) {
		p := program(t)
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := p.Get(ctx, func(string) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		get(t, p, "one")
	})
	t.Run("a folder that cannot be made", func(t *testing.T) {
		p := program(t)
		p.Dir = filepath.Join(p.Source, "go.mod", "programs")
		if _, err := p.Get(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), "folder of compiled programs") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTwoAtOnce: two who want the same program at once make it once.
func TestTwoAtOnce(t *testing.T) {
	p := program(t)
	linked := make(chan bool, 2)
	for range 2 {
		go func() {
			made := false
			_, err := p.Get(t.Context(), func(message string) { made = made || message == "linking" })
			if err != nil {
				t.Error(err)
			}
			linked <- made
		}()
	}
	if first, second := <-linked, <-linked; first == second {
		t.Errorf("made by the first: %v, by the second: %v", first, second)
	}
}

// TestShellsSettingsAreNotOurs: what a shell exports for the user's builds does
// not reach a program of ours.
func TestShellsSettingsAreNotOurs(t *testing.T) {
	p := program(t)
	for name, value := range map[string]string{"GOFLAGS": "-tags=none -mod=vendor", "GOARCH": "mips", "GOOS": "plan9", "GOWORK": "/nowhere/go.work", "CGO_ENABLED": "1"} {
		t.Setenv(name, value)
	}
	get(t, p, "one")
}

func TestProgress(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	todo := map[string]bool{}
	for _, name := range strings.Split("abcdefghijklmnopqrst", "") {
		todo[name] = true
	}
	p := &progress{todo: todo, start: start}
	want := map[int]string{
		1: "compiling, 1 of 20 packages", 2: "compiling, 2 of 20 packages, about 4m30s left",
		10: "compiling, 10 of 20 packages, about 2m30s left", 18: "compiling, 18 of 20 packages, about 30s left", 20: "linking",
	}
	for i := 1; i <= 20; i++ {
		got := p.next(start.Add(time.Duration(i) * 15 * time.Second))
		if said, ok := want[i]; ok && got != said {
			t.Errorf("after %d: %q, want %q", i, got, said)
		}
	}
	soon := &progress{todo: todo, start: start}
	soon.next(start)
	if got := soon.next(start.Add(sayEvery / 2)); got != "" {
		t.Errorf("told again at once: %q", got)
	}
}

// TestFetchingIsTold, also where it comes in pieces, and what is said besides
// is kept for the error.
func TestFetchingIsTold(t *testing.T) {
	var said []string
	e := &ear{say: func(message string) { said = append(said, message) }}
	for _, piece := range []string{"go: downloading example.com/", "a v1.0.0\nno", " luck\n"} {
		if _, err := e.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(said, []string{"fetching example.com/a v1.0.0"}) || !slices.Equal(e.words, []string{"no luck"}) {
		t.Errorf("said %q, kept %q", said, e.words)
	}
}
