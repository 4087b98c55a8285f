package kind

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// only is this engine alone.
var only = bootstrap.Engines{Engine{}}

// home gives the test a configuration directory of its own.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	root, err := bootstrap.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// dockerIs puts a docker command on the PATH that is the given shell script.
func dockerIs(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
}

const (
	running = `case "$*" in
info*) echo '{"ServerVersion":"20.10.24","CgroupVersion":"2","NCPU":2,"DockerRootDir":"/nowhere"}' ;;
`
	noCluster  = `*kind.cluster*) ;;` + "\n"
	oneCluster = `*kind.cluster*) echo devbox-control-plane ;;` + "\n"
	esac       = `*) echo "Error: No such object" >&2; exit 1 ;;
esac`
)

func TestNothingIsMadeWhereSomethingIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		docker  string
		config  bootstrap.Config
		message string
		hint    string
	}{
		"docker stopped":            {docker: `echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2; exit 1`, config: bootstrap.Config{Engine: "kind"}, message: "docker is not running", hint: "systemctl start docker"},
		"docker without permission": {docker: `echo "permission denied while trying to connect to the Docker daemon socket" >&2; exit 1`, config: bootstrap.Config{Engine: "kind"}, message: "you may not talk to docker", hint: "usermod -aG docker"},
		"no images directory":       {docker: running + noCluster + esac, config: bootstrap.Config{ImagesDir: "/nowhere/at/all"}, message: "images directory /nowhere/at/all: it does not exist", hint: "make lab"},
		"somebody's cluster":        {docker: running + oneCluster + esac, message: `there is a kind cluster "devbox" that devbox did not make`, hint: "--name"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			dockerIs(t, c.docker)
			findings := only.Check(context.Background(), c.config)
			failed := (&bootstrap.Survey{Findings: findings}).Failed()
			if len(failed) != 1 || !strings.Contains(failed[0].Message, c.message) || !strings.Contains(failed[0].Hint, c.hint) {
				t.Errorf("got %+v, want %q with hint %q", failed, c.message, c.hint)
			}
			if _, err := only.Up(context.Background(), c.config); err == nil {
				t.Error("up went on")
			}
			if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
	t.Run("docker missing", func(t *testing.T) {
		home(t)
		t.Setenv("PATH", t.TempDir())
		failed := (&bootstrap.Survey{Findings: only.Check(context.Background(), bootstrap.Config{Engine: "kind"})}).Failed()
		if len(failed) != 1 || failed[0].Message != "docker is not installed" || !strings.Contains(failed[0].Hint, "--engine embedded") {
			t.Errorf("got %+v", failed)
		}
	})
}

// TestReady: without Docker the engine is not, in words.
func TestReady(t *testing.T) {
	dockerIs(t, running+esac)
	if err := (Engine{}).Ready(t.Context()); err != nil {
		t.Error(err)
	}
	t.Setenv("PATH", t.TempDir())
	if err := (Engine{}).Ready(t.Context()); err == nil || err.Error() != "docker is not installed" {
		t.Errorf("got %v", err)
	}
}

func TestImagesOfABoxThatIsThere(t *testing.T) {
	home(t)
	box := bootstrap.NewBox("devbox", "kind", t.TempDir())
	box.Complete, box.Images = true, Released()
	box.Images.Images[images.Pilot] = images.Image{Ref: "devbox.local/istio/pilot:1-abc"}
	s := &survey{Survey: &bootstrap.Survey{Box: box, There: true}}
	s.images(t.Context())
	if len(s.Findings) > 0 || s.Box.Images.Ref(images.Pilot) != "devbox.local/istio/pilot:1-abc" {
		t.Errorf("got %+v, %+v; a box that is there needs no registry", s.Findings, s.Box.Images)
	}
}
