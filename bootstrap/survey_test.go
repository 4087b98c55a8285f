package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestNothingIsMadeWhereSomethingIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		config  Config
		message string
		hint    string
	}{
		"no such engine":      {config: Config{Engine: "steam"}, message: `there is no engine "steam"`, hint: "--engine first or --engine second"},
		"a name that is none": {config: Config{Name: "My Box"}, message: `box name "My Box"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := home(t)
			engines := Engines{pretended{name: "first"}, pretended{name: "second"}}
			failed := (&Survey{Findings: engines.Check(context.Background(), c.config)}).Failed()
			if len(failed) != 1 || !strings.Contains(failed[0].Message, c.message) || !strings.Contains(failed[0].Hint, c.hint) {
				t.Errorf("got %+v, want %q with hint %q", failed, c.message, c.hint)
			}
			if _, err := engines.Up(context.Background(), c.config); err == nil {
				t.Error("up went on")
			}
			if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

func TestCheckLeavesNothing(t *testing.T) {
	dir := home(t)
	Engines{pretended{name: "only"}}.Check(context.Background(), Config{ImagesDir: t.TempDir()})
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
	t.Setenv("PATH", t.TempDir()) // no docker, which would be asked
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	port := taken(t)

	t.Run("next free one", func(t *testing.T) {
		s := &Survey{Config: Config{Port: port}, Box: NewBox("devbox", "one", t.TempDir())}
		s.SettlePorts(t.Context())
		if s.Box.HTTPPort <= port || s.Box.HTTPPort > port+portTries {
			t.Errorf("got port %d, want the next after %d", s.Box.HTTPPort, port)
		}
		said := s.Findings[0]
		if want := fmt.Sprintf("127.0.0.1:%d is taken by bootstrap.test (process %d)", port, os.Getpid()); said.Level != Warn || !strings.Contains(said.Message, want) {
			t.Errorf("got %+v, want %q", said, want)
		}
		if s.Box.RegistryPort == 0 || s.Box.APIPort == 0 || s.Box.APIPort == s.Box.HTTPPort {
			t.Errorf("got %+v", s.Box)
		}
	})
	t.Run("fixed", func(t *testing.T) {
		s := &Survey{Config: Config{Port: port, PortFixed: true}, Box: NewBox("devbox", "one", t.TempDir())}
		s.SettlePorts(t.Context())
		if failed := s.Failed(); len(failed) != 1 || !strings.Contains(failed[0].Message, "is taken") {
			t.Errorf("got %+v", s.Findings)
		}
	})
	t.Run("kept for life", func(t *testing.T) {
		box := NewBox("devbox", "one", t.TempDir())
		box.HTTPPort, box.Complete = port, true
		s := &Survey{Config: Config{Name: "devbox", Port: DefaultPort}, Box: box, There: true}
		s.SettlePorts(t.Context())
		if len(s.Failed()) > 0 || s.Box.HTTPPort != port {
			t.Errorf("got %d, %+v", s.Box.HTTPPort, s.Findings)
		}
		s.PortFixed = true
		s.SettlePorts(t.Context())
		if failed := s.Failed(); len(failed) != 1 || !strings.Contains(failed[0].Hint, "`devbox down` first") {
			t.Errorf("got %+v", s.Findings)
		}
		s.Name, s.Findings = "mine", nil
		s.SettlePorts(t.Context())
		if failed := s.Failed(); len(failed) != 1 || !strings.Contains(failed[0].Hint, "`devbox down --name mine` first") {
			t.Errorf("of another box: %+v", s.Findings)
		}
	})
}

// anyPort is one that nobody has, or is about to.
func anyPort() (int, error) {
	s := new(Survey)
	defer s.release()
	return s.anyFree()
}

// TestPortOnTheOtherLoopback: who listens on [::1] alone has the port, too: a
// browser that is given a name in localhost asks there first.
func TestPortOnTheOtherLoopback(t *testing.T) {
	home(t)
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6")
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	s := &Survey{Config: Config{Port: port}, Box: &Box{}}
	defer s.release()
	s.SettlePorts(t.Context())
	if s.Box.HTTPPort == port || len(s.Findings) == 0 || !strings.Contains(s.Findings[0].Message, fmt.Sprintf("[::1]:%d is taken", port)) {
		t.Errorf("the gateway is on %d beside another's [::1]:%d; %+v", s.Box.HTTPPort, port, s.Findings)
	}
}

// TestTwoBoxesAtOnce choose before either listens: not the same ports, also where
// neither knows of the other's folder. What is given back can be had again.
func TestTwoBoxesAtOnce(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	wanted, err := anyPort()
	if err != nil {
		t.Fatal(err)
	}
	survey := func(fixed bool) *Survey {
		t.Setenv("XDG_CONFIG_HOME", t.TempDir())
		s := &Survey{Config: Config{Port: wanted, PortFixed: fixed}, Box: NewBox("devbox", "one", t.TempDir())}
		s.SettlePorts(t.Context())
		return s
	}
	one, two := survey(false), survey(false)
	if one.Box.HTTPPort != wanted || two.Box.HTTPPort == wanted || one.Box.RegistryPort == two.Box.RegistryPort || one.Box.APIPort == two.Box.APIPort {
		t.Errorf("got %+v and %+v", one.Box, two.Box)
	}
	three := survey(true)
	if failed := three.Failed(); len(failed) != 1 || !strings.Contains(failed[0].Message, "by another box that is coming up") {
		t.Errorf("got %+v", three.Findings)
	}
	one.release()
	if again := survey(true); again.Box.HTTPPort != wanted {
		t.Errorf("what was given back is not to be had: %+v", again.Findings)
	} else {
		again.release()
	}
	two.release()
	three.release()
	if left, err := filepath.Glob(filepath.Join(cache, "devbox", "ports", "*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestSettlePort: a box of before gets a port, one that runs keeps its own,
// and a port that somebody has taken meanwhile is given up.
func TestSettlePort(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	taken, err := anyPort()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	busy, err := strconv.Atoi(u.Port())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		before int
		there  bool
		kept   bool
	}{
		"of before":     {},
		"it runs":       {before: busy, there: true, kept: true},
		"it has ended":  {before: taken, kept: true},
		"it is taken":   {before: busy},
		"of before, up": {there: true},
	} {
		s := Survey{Box: &Box{}, There: c.there}
		got := c.before
		if s.SettlePort(&got); c.kept && got != c.before || !c.kept && (got == 0 || got == c.before) {
			t.Errorf("%s: from %d to %d", name, c.before, got)
		}
	}
}

func TestJudge(t *testing.T) {
	need := Need{
		LeastMemory: 1 * GiB, GoodMemory: 3 * GiB, LeastDisk: 2 * GiB, GoodDisk: 6 * GiB, Place: "where docker keeps its files", Instances: 128,
	}
	good := machine{memory: 8 * GiB, disk: 50 * GiB, instances: 1024, watches: 524288}
	with := func(change func(*machine)) machine { m := good; change(&m); return m }
	for name, c := range map[string]struct {
		machine machine
		level   Level
		want    string
	}{
		"good":               {good, OK, "8 GiB free"},
		"little memory":      {with(func(m *machine) { m.memory = 2 * GiB }), Warn, "2 GiB free, 3 GiB are better"},
		"no memory":          {with(func(m *machine) { m.memory = 300 << 20 }), Fail, "300 MiB free, 1 GiB needed"},
		"disk full":          {with(func(m *machine) { m.disk = 100 << 20 }), Fail, "100 MiB of disk free where docker keeps its files, 2 GiB needed"},
		"few inotify":        {with(func(m *machine) { m.instances = 64 }), Warn, "inotify is limited to 64 instances"},
		"no inotify is left": {with(func(m *machine) { m.inotify = errors.New("too many open files") }), Fail, "too many open files"},
		"nothing is known":   {machine{}, OK, "2 cores"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Survey{}
			s.judge(c.machine, 2, need)
			worst := OK
			var found bool
			for _, f := range s.Findings {
				if f.Level != OK {
					worst = f.Level
				}
				found = found || strings.Contains(f.Message, c.want) && f.Level == c.level
			}
			if worst != c.level || !found {
				t.Errorf("got %+v, want %s %q", s.Findings, c.level, c.want)
			}
		})
	}
}
