package goenv

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// hostile sets what people set for their own builds: in the shell, and in the
// file that `go env -w` writes.
func hostile(t *testing.T) {
	t.Helper()
	written := filepath.Join(t.TempDir(), "env")
	lines := "GOARCH=arm64\nGOAMD64=v4\nGOARM64=v9.0\nGOEXPERIMENT=bogus\nGOFLAGS=-mod=vendor\nGOTOOLCHAIN=go1.2.3\nGO111MODULE=off\nGONOSUMDB=example.com\n"
	if err := os.WriteFile(written, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOENV": written, "GOOS": "darwin", "GOARCH": "mips", "GOAMD64": "v3", "GOFLAGS": "-mod=vendor -tags=none", "GOWORK": "/nowhere/go.work",
		"GOEXPERIMENT": "nosuch", "GOTOOLCHAIN": "go1.2.4", "GODEBUG": "nosuch=1", "CGO_ENABLED": "1", "CC": "/nowhere/cc", "GOFIPS140": "nosuch", "GOPRIVATE": "example.org",
	} {
		t.Setenv(name, value)
	}
}

// TestOwn: nothing of what chooses what is made comes from the shell or from
// `go env -w`, and all of what says where modules are does.
func TestOwn(t *testing.T) {
	asked := []string{"env", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT", "GOFLAGS", "GOWORK", "CGO_ENABLED", "CC", "GODEBUG", "GOFIPS140", "GO111MODULE", "GOTOOLCHAIN"}
	ask := func(args ...string) string {
		t.Helper()
		env, err := Own(t.Context(), "linux", "amd64")
		if err != nil {
			t.Fatal(err)
		}
		cmd := Command(t.Context(), args...)
		cmd.Dir, cmd.Env = t.TempDir(), append(os.Environ(), env...)
		out, err := Output(cmd)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	clean := ask(asked...)
	hostile(t)
	if got := ask(asked...); got != clean {
		t.Errorf("with a shell's settings go has\n%s\nwant\n%s", got, clean)
	}
	if got := ask("env", "GOPRIVATE", "GONOSUMDB"); got != "example.org\nexample.com\n" {
		t.Errorf("where modules come from: %q", got)
	}
}

// TestGoCommand: the one that KO_GO_PATH names, and none is said to be none.
func TestGoCommand(t *testing.T) {
	t.Setenv("KO_GO_PATH", filepath.Join(t.TempDir(), "go"))
	_, err := Own(t.Context(), "linux", "amd64")
	if !errors.Is(err, exec.ErrNotFound) || !strings.Contains(err.Error(), "KO_GO_PATH") {
		t.Errorf("got %v, want exec.ErrNotFound with the variable's name", err)
	}
}

// TestBrief: a screen has the first lines, and the file that it names all.
func TestBrief(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	var words strings.Builder
	for i := range 300 {
		fmt.Fprintf(&words, "line %d\n", i)
	}
	short := Brief(words.String())
	if n := strings.Count(short, "\n") + 1; n != shownLines+1 || !strings.HasPrefix(short, "line 0\n") {
		t.Errorf("%d lines:\n%s", n, short)
	}
	said, log, ok := strings.Cut(short, "... and 288 more lines, all in ")
	if !ok {
		t.Fatalf("it ends with %q", short[max(0, len(short)-200):])
	}
	all, err := os.ReadFile(log)
	if err != nil || !strings.HasPrefix(string(all), said) || !strings.Contains(string(all), "line 299") {
		t.Errorf("%s has %d bytes, %v", log, len(all), err)
	}
	if got := Brief("one\ntwo"); got != "one\ntwo" {
		t.Errorf("two lines became %q", got)
	}
}
