package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// engine puts a docker command on the PATH that is the given shell script.
func engine(t *testing.T, script string) {
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
		config  Config
		message string
		hint    string
	}{
		"docker stopped":            {docker: `echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2; exit 1`, config: Config{Engine: "kind"}, message: "docker is not running", hint: "systemctl start docker"},
		"docker without permission": {docker: `echo "permission denied while trying to connect to the Docker daemon socket" >&2; exit 1`, config: Config{Engine: "kind"}, message: "you may not talk to docker", hint: "usermod -aG docker"},
		"no images directory":       {docker: running + noCluster + esac, config: Config{ImagesDir: "/nowhere/at/all"}, message: "images directory /nowhere/at/all: it does not exist", hint: "make lab"},
		"somebody's cluster":        {docker: running + oneCluster + esac, message: `there is a kind cluster "devbox" that devbox did not make`, hint: "--name"},
		"no such engine":            {docker: running + noCluster + esac, config: Config{Engine: "steam"}, message: `there is no engine "steam"`, hint: "--engine kind"},
		"a name that is none":       {docker: running + noCluster + esac, config: Config{Name: "My Box"}, message: `box name "My Box"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			engine(t, c.docker)
			findings := Check(context.Background(), c.config)
			failed := (&survey{findings: findings}).failed()
			if len(failed) != 1 || !strings.Contains(failed[0].Message, c.message) || !strings.Contains(failed[0].Hint, c.hint) {
				t.Errorf("got %+v, want %q with hint %q", failed, c.message, c.hint)
			}
			if _, err := Up(context.Background(), c.config); err == nil {
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
		failed := (&survey{findings: Check(context.Background(), Config{Engine: "kind"})}).failed()
		if len(failed) != 1 || failed[0].Message != "docker is not installed" || !strings.Contains(failed[0].Hint, "--engine embedded") {
			t.Errorf("got %+v", failed)
		}
	})
}

func TestEngineIsChosen(t *testing.T) {
	const stopped = `echo "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?" >&2; exit 1`
	for name, c := range map[string]struct {
		docker string
		asked  string
		box    string // the engine of the box that is there
		want   string // what the finding says
		fails  bool
	}{
		"docker answers":         {docker: running + noCluster + esac, want: "kind on Docker 20.10"},
		"docker is stopped":      {docker: stopped, want: "embedded engine, since docker is not running"},
		"as asked for":           {docker: running + noCluster + esac, asked: "embedded", want: "embedded engine"},
		"the box has one":        {docker: running + noCluster + esac, box: "embedded", want: "embedded engine"},
		"the box has another":    {docker: running + noCluster + esac, asked: "kind", box: "embedded", want: "box devbox is of engine embedded, not kind", fails: true},
		"an engine there is not": {docker: stopped, asked: "steam", want: `there is no engine "steam"`, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			home(t)
			engine(t, c.docker)
			if c.box != "" {
				dir, err := dirOf(DefaultName)
				if err != nil {
					t.Fatal(err)
				}
				if err := newBox(DefaultName, c.box, dir).save(); err != nil {
					t.Fatal(err)
				}
			}
			said := ""
			for _, f := range Check(t.Context(), Config{Engine: c.asked, ImagesDir: ""}) {
				if f.Name == "engine" {
					said = f.Message
					if (f.Level == Fail) != c.fails {
						t.Errorf("level %s", f.Level)
					}
				}
			}
			if said != c.want {
				t.Errorf("got %q, want %q", said, c.want)
			}
		})
	}
}

func TestCheckLeavesNothing(t *testing.T) {
	dir := home(t)
	engine(t, running+noCluster+esac)
	Check(context.Background(), Config{ImagesDir: t.TempDir()})
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the look made %s: %v", dir, err)
	}
}

// taken is a port of 127.0.0.1 that somebody listens on until the test ends.
func taken(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

func TestPorts(t *testing.T) {
	engine(t, `exit 1`)
	port := taken(t)

	t.Run("next free one", func(t *testing.T) {
		s := &survey{box: newBox("devbox", engineKind, t.TempDir())}
		s.ports(t.Context(), Config{Port: port})
		if s.box.HTTPPort <= port || s.box.HTTPPort > port+portTries {
			t.Errorf("got port %d, want the next after %d", s.box.HTTPPort, port)
		}
		said := s.findings[0]
		if want := fmt.Sprintf("127.0.0.1:%d is taken by bootstrap.test (process %d)", port, os.Getpid()); said.Level != Warn || !strings.Contains(said.Message, want) {
			t.Errorf("got %+v, want %q", said, want)
		}
		if s.box.RegistryPort == 0 || s.box.APIPort == 0 || s.box.APIPort == s.box.HTTPPort {
			t.Errorf("got %+v", s.box)
		}
	})
	t.Run("fixed", func(t *testing.T) {
		s := &survey{box: newBox("devbox", engineKind, t.TempDir())}
		s.ports(t.Context(), Config{Port: port, PortFixed: true})
		if failed := s.failed(); len(failed) != 1 || !strings.Contains(failed[0].Message, "is taken") {
			t.Errorf("got %+v", s.findings)
		}
	})
	t.Run("kept for life", func(t *testing.T) {
		box := newBox("devbox", engineKind, t.TempDir())
		box.HTTPPort, box.Complete = port, true
		s := &survey{box: box, there: true}
		s.ports(t.Context(), Config{Port: DefaultPort})
		if len(s.failed()) > 0 || s.box.HTTPPort != port {
			t.Errorf("got %d, %+v", s.box.HTTPPort, s.findings)
		}
		s.ports(t.Context(), Config{Port: DefaultPort, PortFixed: true})
		if failed := s.failed(); len(failed) != 1 || !strings.Contains(failed[0].Hint, "devbox down") {
			t.Errorf("got %+v", s.findings)
		}
	})
}

func TestImagesOfABoxThatIsThere(t *testing.T) {
	home(t)
	box := saved(t, "devbox", true)
	s := &survey{box: box, there: true}
	s.images(t.Context(), Config{})
	if len(s.findings) > 0 || s.box.Images.Ref(images.Pilot) != "devbox.local/istio/pilot:1-abc" {
		t.Errorf("got %+v, %+v; a box that is there needs no registry", s.findings, s.box.Images)
	}
}

func TestJudge(t *testing.T) {
	good := machine{memory: 8 * gib, disk: 50 * gib, instances: 1024, watches: 524288}
	with := func(change func(*machine)) machine { m := good; change(&m); return m }
	for name, c := range map[string]struct {
		machine machine
		level   Level
		want    string
	}{
		"good":               {good, OK, "8 GiB free"},
		"little memory":      {with(func(m *machine) { m.memory = 2 * gib }), Warn, "2 GiB free, 3 GiB are better"},
		"no memory":          {with(func(m *machine) { m.memory = 300 << 20 }), Fail, "300 MiB free, 1 GiB needed"},
		"disk full":          {with(func(m *machine) { m.disk = 100 << 20 }), Fail, "100 MiB of disk free where docker keeps its files, 2 GiB needed"},
		"few inotify":        {with(func(m *machine) { m.instances = 64 }), Warn, "inotify is limited to 64 instances"},
		"no inotify is left": {with(func(m *machine) { m.inotify = errors.New("too many open files") }), Fail, "too many open files"},
		"nothing is known":   {machine{}, OK, "2 cores"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &survey{}
			judge(s, c.machine, 2, needKind)
			worst := OK
			var found bool
			for _, f := range s.findings {
				if f.Level != OK {
					worst = f.Level
				}
				found = found || strings.Contains(f.Message, c.want) && f.Level == c.level
			}
			if worst != c.level || !found {
				t.Errorf("got %+v, want %s %q", s.findings, c.level, c.want)
			}
		})
	}
}
