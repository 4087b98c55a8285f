package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/kind"
)

// portTries is how many ports after a taken one are looked at.
const portTries = 100

// ports settles the box's ports of 127.0.0.1. A box that is there keeps its
// own for life, and one that is made anew from half of one as well, unless
// another is asked for. A box whose process has ended has its own again where
// nobody has taken them.
func (s *survey) ports(ctx context.Context, cfg Config) {
	defer s.metricsPort()
	moved := cfg.PortFixed && cfg.Port != s.box.HTTPPort
	if s.there && (s.box.Complete || !moved) {
		s.keptPort(cfg)
		return
	}
	if !cfg.PortFixed {
		cfg.Port = cmp.Or(s.box.HTTPPort, cfg.Port)
	}
	port, err := s.httpPort(ctx, cfg)
	if err == nil {
		s.box.HTTPPort = port
		s.box.RegistryPort, err = nextFree(cmp.Or(s.box.RegistryPort, kind.RegistryPort), s.box.HTTPPort)
	}
	if err == nil && (s.box.APIPort == 0 || !free(s.box.APIPort)) {
		s.box.APIPort, err = anyFree(s.box.HTTPPort, s.box.RegistryPort)
	}
	if err != nil {
		s.add("port", Fail, err.Error(), "choose another with --port")
		return
	}
	if s.box.RegistryPort != kind.RegistryPort {
		s.add("registry port", OK, fmt.Sprintf("127.0.0.1:%d is taken, so the registry is on %d", kind.RegistryPort, s.box.RegistryPort), "")
	}
}

// metricsPort settles where an embedded box tells its numbers. A box that was
// made before there were any gets its port here, too.
func (s *survey) metricsPort() {
	kept := s.box.MetricsPort != 0 && (s.there || free(s.box.MetricsPort))
	if s.box.Engine != engineEmbedded || kept || len(s.failed()) > 0 {
		return
	}
	var err error
	if s.box.MetricsPort, err = anyFree(s.box.HTTPPort, s.box.RegistryPort, s.box.APIPort); err != nil {
		s.add("port", Fail, err.Error(), "")
	}
}

func (s *survey) keptPort(cfg Config) {
	if cfg.PortFixed && cfg.Port != s.box.HTTPPort {
		s.add("port", Fail, fmt.Sprintf("box %s is on 127.0.0.1:%d, not on %d", s.box.Name, s.box.HTTPPort, cfg.Port),
			"run `devbox down` first to move it")
		return
	}
	s.add("port", OK, fmt.Sprintf("box on 127.0.0.1:%d", s.box.HTTPPort), "")
}

// httpPort is the wanted port where it is free, and otherwise the next one.
func (s *survey) httpPort(ctx context.Context, cfg Config) (int, error) {
	if free(cfg.Port) {
		s.add("port", OK, fmt.Sprintf("127.0.0.1:%d free", cfg.Port), "")
		return cfg.Port, nil
	}
	taken := fmt.Sprintf("127.0.0.1:%d is taken", cfg.Port)
	if who := holder(ctx, cfg.Port); who != "" {
		taken += " by " + who
	}
	if cfg.PortFixed {
		return 0, errors.New(taken)
	}
	port, err := nextFree(cfg.Port + 1)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", taken, err)
	}
	s.add("port", Warn, fmt.Sprintf("%s, so the box is on 127.0.0.1:%d", taken, port), "choose one with --port")
	return port, nil
}

// free says whether nobody listens on the port.
func free(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// nextFree is the first free port from port on that is none of but.
func nextFree(port int, but ...int) (int, error) {
	for p := port; p < min(port+portTries, 65536); p++ {
		if free(p) && !slices.Contains(but, p) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", port, port+portTries-1)
}

// anyFree is a free port of the system's choice that is none of but.
func anyFree(but ...int) (int, error) {
	for range portTries {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if !slices.Contains(but, port) {
			return port, nil
		}
	}
	return 0, errors.New("no free port")
}

// holder names who listens on the port, "" where that is not known.
func holder(ctx context.Context, port int) string {
	name, err := docker.Output(ctx, "ps", "--filter", fmt.Sprintf("publish=%d", port), "--format", "{{.Names}}")
	if err == nil && name != "" {
		return "container " + strings.Fields(name)[0]
	}
	return listener(port)
}
