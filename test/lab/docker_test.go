package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// The daemon here is a script that does what dockerd does for the lab: it
// writes its number into the pid file, and answers from then on.
const fakeDaemon = `#!/bin/sh
echo $$ > "$2"
touch %s
trap 'rm -f "$2" %s; exit 0' TERM
while :; do sleep 0.05; done
`

func TestDaemonOutlivesTheLabAndStops(t *testing.T) {
	d, said := newTestDocker(t, fakeDaemon)
	if err := d.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(d.path("shim")); err != nil || string(data) != "shim" {
		t.Errorf("the daemon's shim is %q, %v", data, err)
	}
	if err := d.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"started as process", "has stopped"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("progress %q does not say %q", said, want)
		}
	}
}

func TestDaemonThatEndsAtOnce(t *testing.T) {
	d, _ := newTestDocker(t, "#!/bin/sh\necho no iptables >&2\nexit 1\n")
	if err := d.start(t.Context()); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("error is %v", err)
	}
	if log, err := os.ReadFile(d.path("dockerd.log")); err != nil || string(log) != "no iptables\n" {
		t.Errorf("the daemon's log is %q, %v", log, err)
	}
}

func TestStopWithoutADaemon(t *testing.T) {
	d, said := newTestDocker(t, fakeDaemon)
	if err := d.stop(t.Context()); err != nil || !strings.Contains(said.String(), "no Docker daemon of the lab") {
		t.Errorf("said %q, error %v", said, err)
	}
	// The number of a process that is no Docker daemon: this test's own.
	if err := os.WriteFile(d.path("dockerd.pid"), []byte("1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := d.stop(t.Context()); err != nil || !strings.Contains(said.String(), "gone already") {
		t.Errorf("said %q, error %v", said, err)
	}
}

// newTestDocker puts a dockerd, and a docker that succeeds while it runs, first
// in the search path.
func newTestDocker(t *testing.T, daemon string) (*docker, *strings.Builder) {
	t.Helper()
	bin, up, said := t.TempDir(), filepath.Join(t.TempDir(), "up"), &strings.Builder{}
	for name, text := range map[string]string{
		"dockerd": strings.ReplaceAll(daemon, "%s", up),
		"docker":  "#!/bin/sh\ntest -e " + up + " && echo 20.10\n",
	} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	c, err := openCache(t.Context(), t.TempDir(), fstest.MapFS{}, said)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	own := &artefact{dir: t.TempDir()}
	d := &docker{cache: c, own: own}
	if err := os.MkdirAll(d.path(""), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(own.path("shim"), []byte("shim"), 0o755); err != nil {
		t.Fatal(err)
	}
	return d, said
}
