// Package box drives the devbox command as a user does, for the tests that
// need the real thing: it runs the binary, reads the events of `-o json`, and
// asks the gateway over HTTP. It imports none of the code it tests but the
// events' type and the objects of the API. What it must know of an engine is in engine.go.
//
//	test --> bin/devbox up -o json --> events --> Session.Wait
//	  |----- GET 127.0.0.1:port, Host: hello.default.example.com
//	  |----- the API server, by the box's own kubeconfig
//	  \----- /proc: what runs, and what it holds
package box

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
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
	name    string
	home    string // XDG_CONFIG_HOME
	env     []string
	engine  engine
	hidden  string // a device of the machine that its commands do not see
	Gateway string // where the last `up` said the gateway is

	kubeconfig string // once it was asked for
}

// New returns a box that is not up yet, on the engine that DEVBOX_ENGINE
// names or else on kind, and takes down whatever is left of it when the test
// ends. It fails the test, and never skips it, where the binary or the images
// are missing.
func New(t testing.TB, name string) *Box {
	t.Helper()
	wanted := cmp.Or(os.Getenv("DEVBOX_ENGINE"), "kind")
	for _, engine := range []engine{kind{}, embedded{}} {
		if engine.name() == wanted {
			return on(t, name, engine)
		}
	}
	t.Fatalf("DEVBOX_ENGINE=%s: the tests know no such engine", wanted)
	return nil
}

// Embedded returns such a box on the embedded engine, for what can be looked
// at there alone.
func Embedded(t testing.TB, name string) *Box {
	t.Helper()
	return on(t, name, embedded{})
}

func on(t testing.TB, name string, engine engine) *Box {
	t.Helper()
	bin, err := filepath.Abs("../../bin/devbox")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		t.Fatalf("%v; run `make build`", err)
	}
	goenv, err := exec.Command("go", "env", "GOENV").Output()
	if err != nil {
		t.Fatalf("asking go for its settings: %v", err)
	}
	settings, err := engine.environment()
	if err != nil {
		t.Fatal(err)
	}
	b := &Box{t: t, bin: bin, name: name, home: t.TempDir(), engine: engine}
	b.env = append(os.Environ(), settings...)
	b.env = append(b.env,
		"XDG_CONFIG_HOME="+b.home,
		"KUBECONFIG="+filepath.Join(t.TempDir(), "kubeconfig"),
		"GOENV="+strings.TrimSpace(string(goenv)),
		"NO_COLOR=1",
	)
	t.Cleanup(func() {
		if words := engine.lastWords(b); t.Failed() && words != "" {
			t.Logf("the box's own last words:\n%s", words)
		}
		if out, code := b.Run("down"); code != 0 {
			t.Errorf("devbox down: exit %d\n%s", code, out)
		}
	})
	return b
}

// Guest returns the box of somebody else on this machine, who knows this one by
// its kubeconfig alone: to him it is a cluster that is there already.
func (b *Box) Guest(name string) *Box {
	b.t.Helper()
	return Known(b.t, name, filepath.Join(b.Folder(), "kubeconfig"))
}

// Known returns a box that is not up yet, of somebody who has a kubeconfig of
// clusters that are there already.
func Known(t testing.TB, name, kubeconfig string) *Box {
	t.Helper()
	b := on(t, name, embedded{})
	b.env = append(b.env, "DEVBOX_ENGINE=", "KUBECONFIG="+kubeconfig)
	return b
}

// Name is the box's name.
func (b *Box) Name() string { return b.name }

// Engine is the name of the box's engine.
func (b *Box) Engine() string { return b.engine.name() }

// Folder is where the box keeps what it is.
func (b *Box) Folder() string { return filepath.Join(b.home, "devbox", b.name) }

// Stop ends the machine that the box runs on: its container, or its process
// with no time for a word.
func (b *Box) Stop() {
	b.t.Helper()
	if err := b.engine.stop(b); err != nil {
		b.t.Fatalf("stopping the box's machine: %v", err)
	}
}

// Down takes the box down and says in words what is left of it.
func (b *Box) Down() []string {
	b.t.Helper()
	before, err := b.engine.processes(b)
	if err != nil {
		b.t.Fatalf("looking for the box's processes: %v", err)
	}
	if out, code := b.Run("down"); code != 0 {
		b.t.Fatalf("devbox down: exit %d\n%s", code, out)
	}
	left, err := b.engine.left(b)
	if err != nil {
		b.t.Fatalf("looking for what is left of the box: %v", err)
	}
	for _, p := range append(b.Alive(before), b.Strays()...) {
		left = append(left, p.String())
	}
	if _, err := os.Stat(b.Folder()); !errors.Is(err, fs.ErrNotExist) {
		left = append(left, "folder "+b.Folder())
	}
	return left
}

// Run runs a devbox command on the box to its end, at most five minutes, and
// returns what it printed, stdout first, and its exit code.
func (b *Box) Run(args ...string) (string, int) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var out, progress bytes.Buffer
	cmd := b.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &progress
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatalf("devbox %s: %v", strings.Join(args, " "), err)
	}
	return out.String() + progress.String(), cmd.ProcessState.ExitCode()
}

// Command is a devbox command on the box, to be run.
func (b *Box) Command(ctx context.Context, args ...string) *exec.Cmd {
	args = append(append([]string{b.bin}, args...), "--name", b.name)
	if b.hidden != "" {
		args = append([]string{"unshare", "--mount", "sh", "-c", `mount --bind /dev/null "$0" && exec "$@"`, b.hidden}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = b.env
	return cmd
}

// Hide keeps a device of the machine from the commands that follow, and from
// the box that they start: to them it is /dev/null. Root alone can.
func (b *Box) Hide(device string) { b.hidden = device }

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
