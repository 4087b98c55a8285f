// Package box drives the devbox command as a user does, for the tests that
// need the real thing: it runs the binary, reads the events of `-o json`, and
// asks the gateway over HTTP. It imports none of the code it tests but the
// events' type.
//
//	test --> bin/devbox up -o json --> events --> Session.Wait
//	  \----- GET 127.0.0.1:port, Host: hello.default.example.com
package box

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Box is one box of the test, with a configuration directory of its own, so
// that a developer's own box and kubeconfig are never touched.
type Box struct {
	t       testing.TB
	bin     string
	images  string
	engine  string
	name    string
	env     []string
	Gateway string // where the last `up` said the gateway is
}

// New returns a box that is not up yet and takes down whatever is left of it
// when the test ends. It fails the test, and never skips it, where the binary
// or the images are missing.
func New(t testing.TB, name string) *Box {
	t.Helper()
	bin, err := filepath.Abs("../../bin/devbox")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%v; run `make e2e`, which builds it", err)
	}
	b := &Box{t: t, bin: bin, name: name, images: os.Getenv("DEVBOX_IMAGES"), engine: os.Getenv("DEVBOX_ENGINE")}
	if b.engine == "" {
		b.engine = "kind"
	}
	if b.engine == "kind" && b.images == "" {
		t.Fatal("DEVBOX_IMAGES is not set; run `make e2e`, which builds the images of the box and sets it")
	}
	goenv, err := exec.Command("go", "env", "GOENV").Output()
	if err != nil {
		t.Fatalf("asking go for its settings: %v", err)
	}
	b.env = append(os.Environ(),
		"XDG_CONFIG_HOME="+t.TempDir(),
		"KUBECONFIG="+filepath.Join(t.TempDir(), "kubeconfig"),
		"GOENV="+strings.TrimSpace(string(goenv)),
		"NO_COLOR=1",
	)
	t.Cleanup(func() {
		if out, code := b.Run("down"); code != 0 {
			t.Errorf("devbox down: exit %d\n%s", code, out)
		}
	})
	return b
}

// Name is the box's name.
func (b *Box) Name() string { return b.name }

// Run runs a devbox command on the box to its end, at most five minutes, and
// returns what it printed, stdout first, and its exit code.
func (b *Box) Run(args ...string) (string, int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var out, progress bytes.Buffer
	cmd := b.command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &progress
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("devbox %s: %v", strings.Join(args, " "), err)
	}
	return out.String() + progress.String(), cmd.ProcessState.ExitCode()
}

func (b *Box) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, b.bin, append(args, "--name", b.name)...)
	cmd.Env = b.env
	return cmd
}

// Get asks the gateway for path with the given Host and returns the status
// and the body.
func (b *Box) Get(host, path string) (int, string, error) {
	req, err := http.NewRequest(http.MethodGet, b.Gateway+path, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = host
	client := http.Client{Timeout: 30 * time.Second}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, strings.TrimSpace(string(body)), err
}

// Project copies a main package of the examples into a module of its own,
// which the test may edit, and returns its directory.
func Project(t testing.TB, example string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(example))
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("../../examples", example))); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tests {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	Write(t, filepath.Join(dir, "go.mod"), "module example.com/"+filepath.Base(example)+"\n\ngo 1.26\n")
	return dir
}

// Write saves a file as an editor does: to a temporary file beside it, which
// is then renamed.
func Write(t testing.TB, path, content string) {
	t.Helper()
	tmp := path + "~"
	if err := os.WriteFile(tmp, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// Edit replaces old, which must be there, by new in a file.
func Edit(t testing.TB, path, old, replacement string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	Write(t, path, strings.Replace(string(content), old, replacement, 1))
}
