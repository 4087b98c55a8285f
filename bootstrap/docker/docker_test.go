package docker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// install puts a docker command on the PATH that is the given shell script.
func install(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

func TestWhyDockerIsOutOfReach(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		want   error
	}{
		"stopped":                          {`echo "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?" >&2; exit 1`, ErrStopped},
		"stopped, as newer clients say it": {`echo "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct and if the daemon is running" >&2; exit 1`, ErrStopped},
		"no permission":                    {`echo 'permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: Get "http://x": dial unix: connect: permission denied' >&2; exit 1`, ErrPermission},
		"older clients end well":           {`echo '{"ServerErrors":["Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?"]}'`, ErrStopped},
		"podman in its place":              {`case "$*" in info*) echo '{"host":{"cgroupVersion":"v2"},"version":{"Version":"4.9.3"}}' ;; -v) echo podman version 4.9.3 ;; *) exit 125 ;; esac`, ErrPodman},
		"an answer of no engine":           {`echo '{}'`, ErrStopped},
	} {
		t.Run(name, func(t *testing.T) {
			install(t, c.script)
			if _, err := GetInfo(context.Background()); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		if _, err := GetInfo(context.Background()); !errors.Is(err, ErrMissing) {
			t.Errorf("got %v, want %v", err, ErrMissing)
		}
	})
}

func TestInfo(t *testing.T) {
	install(t, `echo '{"ServerVersion":"20.10.24","CgroupVersion":"1","NCPU":2,"MemTotal":123,"DockerRootDir":"/var/lib/docker"}'`)
	got, err := GetInfo(context.Background())
	want := Info{ServerVersion: "20.10.24", CgroupVersion: "1", NCPU: 2, MemTotal: 123, DockerRootDir: "/var/lib/docker"}
	if err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

func TestErrorsCarryTheLastLines(t *testing.T) {
	install(t, `for i in $(seq 1 50); do echo "line $i" >&2; done; exit 1`)
	got := Run(context.Background(), nil, nil, "load").Error()
	if !strings.HasPrefix(got, "docker load: line 41\n") || !strings.Contains(got, "line 50\n") || !strings.HasSuffix(got, "40 before them are left out)") {
		t.Errorf("got %s", got)
	}
}

func TestErrorsCarryTheEnginesWords(t *testing.T) {
	install(t, `echo "Error: No such container: nope" >&2; exit 1`)
	err := Run(context.Background(), nil, nil, "start", "nope")
	if got, want := err.Error(), "docker start: Error: No such container: nope"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !IsNotFound(err) {
		t.Error("it is not known to be about something that is not there")
	}
}

func TestCommandsEndWithTheirContext(t *testing.T) {
	install(t, `exec sleep 60`)
	why := errors.New("enough")
	ctx, cancel := context.WithTimeoutCause(context.Background(), 10*time.Millisecond, why)
	defer cancel()
	if err := Run(ctx, nil, nil, "wait"); !errors.Is(err, why) {
		t.Errorf("got %v, want %v", err, why)
	}
}

// TestElsewhere: only what is certainly another machine's is.
func TestElsewhere(t *testing.T) {
	for host, want := range map[string]string{
		"unix:///var/run/docker.sock": "", "tcp://127.0.0.1:2375": "", "tcp://localhost:2375": "", "": "",
		"ssh://me@far": "ssh://me@far", "tcp://10.0.0.1:2376": "tcp://10.0.0.1:2376",
	} {
		install(t, "echo '"+host+"'")
		if got := Elsewhere(t.Context()); got != want {
			t.Errorf("%q gives %q, want %q", host, got, want)
		}
	}
	install(t, "exit 1")
	if got := Elsewhere(t.Context()); got != "" {
		t.Errorf("a docker without contexts gives %q", got)
	}
}
