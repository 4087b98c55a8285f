package app

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// TestCtrlCBeforeTheBoxIsUp interrupts `devbox up` while it waits for docker.
func TestCtrlCBeforeTheBoxIsUp(t *testing.T) {
	bin, app := t.TempDir(), t.TempDir()
	asked := filepath.Join(bin, "asked")
	if err := unix.Mkfifo(asked, 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(bin, "docker"), "#!/bin/sh\necho yes > "+asked+"\nexec sleep 600\n")
	if err := os.Chmod(filepath.Join(bin, "docker"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(app, "go.mod"), "module example.com/app\n\ngo 1.26\n")
	write(t, filepath.Join(app, "main.go"), "package main\n\nfunc main() {}\n")
	t.Setenv("PATH", bin+string(filepath.ListSeparator)+os.Getenv("PATH"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(app, "config"))

	var stdout, stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- Run(t.Context(), []string{"up", app}, strings.NewReader(""), &stdout, &stderr) }()
	_ = read(t, asked) // returns when docker has been asked
	if err := unix.Kill(os.Getpid(), unix.SIGINT); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != codeInterrupted {
		t.Errorf("exit code %d, want %d", got, codeInterrupted)
	}
	want := "devbox: interrupted\n   next: devbox up goes on from here; devbox down removes what there is\n"
	if !strings.HasSuffix(stderr.String(), want) || stdout.Len() > 0 {
		t.Errorf("stderr %q, stdout %q; want stderr to end with %q", stderr.String(), stdout.String(), want)
	}
}

func TestExit(t *testing.T) {
	interruptedContext, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	finding := func(message, hint string) bootstrap.Finding {
		return bootstrap.Finding{Level: bootstrap.Fail, Message: message, Hint: hint}
	}
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		code int
		want string
	}{
		{"nothing", t.Context(), nil, codeOK, ""},
		{"anything", t.Context(), errors.New("no luck"), codeFailure, "devbox: no luck\n"},
		{
			"several lines", t.Context(), errors.New("no luck:\nat all\n"), codeFailure,
			"devbox: no luck:\n   at all\n",
		},
		{
			"cause, evidence, next", t.Context(),
			&problem{code: codeRollout, cause: errors.New("no"), evidence: []string{"a", "b"}, next: "devbox status"}, codeRollout,
			"devbox: no\n   a\n   b\n   next: devbox status\n",
		},
		{
			"one thing is missing", t.Context(),
			classify(codeCluster, &bootstrap.PrerequisiteError{Findings: []bootstrap.Finding{finding("no docker", "get it")}}, "other"), codePrerequisite,
			"devbox: no docker\n   next: get it\n",
		},
		{
			"two things are missing", t.Context(),
			classify(codeCluster, &bootstrap.PrerequisiteError{Findings: []bootstrap.Finding{finding("no disk", "free some"), finding("no luck", "")}}, ""), codePrerequisite,
			"devbox: this machine lacks 2 things\n   no disk\n     next: free some\n   no luck\n",
		},
		{
			"a step failed", t.Context(),
			classify(codeFailure, &bootstrap.ClusterError{Step: "istio", Err: errors.New("no pod"), Hint: "wait"}, "other"), codeCluster,
			"devbox: istio: no pod\n   next: wait\n",
		},
		{
			"no box", t.Context(), classify(codeCluster, bootstrap.ErrNoBox, "devbox up"), codeCluster,
			"devbox: there is no such box\n   next: devbox up\n",
		},
		{
			"no service compiles", t.Context(),
			(&devbox{name: "devbox"}).ofService(errors.Join(&build.CompileError{Target: "example.com/a", Output: "a.go:1:1: no"})), codeBuild,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"two services are not live", t.Context(),
			(&devbox{name: "b"}).ofService(errors.Join(
				&watcher.FailedError{Service: "a", Revision: "a-00001", Reason: "exit code 1"},
				&watcher.FailedError{Service: "b", Reason: "no pod"},
			)), codeRollout,
			"devbox: 2 services or objects are not live\n   next: devbox logs --name b\n",
		},
		{
			"the box has no such kind", t.Context(), (&devbox{name: "b"}).ofService(errors.Join(
				&watcher.FailedError{Service: "a", Reason: "exit code 1"},
				&watcher.FailedError{Service: "b", Revision: "Deployment b", Reason: "no kind", Lack: &watcher.LackError{}},
			)), codeRollout,
			"devbox: 2 services or objects are not live\n   next: a box that may have it, by `devbox up --engine kind --name NAME`; or, for a database, that of this machine: docs/manifests.md\n",
		},
		{
			"an object is refused", t.Context(), (&devbox{name: "devbox"}).ofService(errors.Join(
				&watcher.FailedError{Service: "a", Revision: "Service a", Reason: "unknown field", Refused: true},
			)), codeRollout,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"no image", t.Context(), (&devbox{name: "devbox"}).ofService(&build.ImageError{Target: "example.com/a", Err: errors.New("no base")}), codeBuild,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"a .ko.yaml is wrong", t.Context(), (&devbox{name: "devbox"}).ofService(&build.ConfigError{File: ".ko.yaml", Err: errors.New("no")}), codeUsage,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"kodata is wrong", t.Context(), (&devbox{name: "devbox"}).ofService(&build.DataError{File: "kodata/a", Err: errors.New("no")}), codeUsage,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"somebody else changed the Service", t.Context(), (&devbox{name: "devbox"}).ofService(deploy.ErrSuperseded), codeFailure,
			"devbox: somebody else changed the Service\n",
		},
		{
			"a service.yaml is refused", t.Context(), (&devbox{name: "devbox"}).ofService(&watcher.RefusedError{File: "service.yaml", Err: errors.New("no")}), codeUsage,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"a manifest is wrong", t.Context(), (&devbox{name: "devbox"}).ofService(errors.Join(manifest.Problem{File: "map.yaml", Words: "no"})), codeUsage,
			"devbox: 1 service or object is not live\n   next: mend it, then the same command again\n",
		},
		{
			"the box does not answer", t.Context(), (&devbox{name: "devbox"}).ofService(&watcher.BoxError{Err: errors.New("connection refused")}), codeCluster,
			"devbox: 1 service or object is not live\n   next: devbox status\n",
		},
		{"interrupted", interruptedContext, errors.New("signal: killed"), codeInterrupted, "devbox: interrupted\n"},
		{"interrupted, well ended", interruptedContext, nil, codeOK, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if got := exit(test.ctx, test.err, &stderr); got != test.code {
				t.Errorf("exit code %d, want %d", got, test.code)
			}
			if diff := cmp.Diff(test.want, stderr.String()); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneSessionABox(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	end, err := bootstrap.Session("a", "/src/one", "/src/two")
	if err != nil {
		t.Fatal(err)
	}
	other, err := bootstrap.Session("b")
	if err != nil {
		t.Fatalf("a session of another box: %v", err)
	}
	other()
	busy, ok := errors.AsType[*bootstrap.BusyError](second(bootstrap.Session("a")))
	if !ok || busy.Name != "a" || busy.PID == "" || !strings.Contains(busy.Error(), "serves /src/one, /src/two") {
		t.Errorf("a second session gives %v, want a BusyError that names the first, and what it serves", busy)
	}
	said := (&devbox{name: "a"}).beside(busy, []watcher.Target{{Dir: "/src/three"}})
	for _, way := range []string{"`devbox up --name a /src/one /src/two /src/three` for both", "`devbox up --name other /src/three`"} {
		if !strings.Contains(next(said), way) {
			t.Errorf("next is %q, want %s", next(said), way)
		}
	}
	end()
	end, err = bootstrap.Session("a")
	if err != nil {
		t.Fatalf("a session after the first has ended: %v", err)
	}
	end()
	left, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "devbox", "*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func second[T any](_ T, err error) error { return err }
