package bootstrap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// portTries is how many ports after a taken one are looked at.
const portTries = 100

// SettlePorts gives s.Box its ports of 127.0.0.1. A box that is there keeps its
// own for life, and one that is made anew from half of one as well, unless
// another is asked for. A box whose process has ended has its own again where
// nobody has taken them.
func (s *Survey) SettlePorts(ctx context.Context) {
	moved := s.PortFixed && s.Port != s.Box.HTTPPort
	if s.There && (s.Box.Complete || !moved) {
		s.keptPort()
		return
	}
	wanted := s.Port
	if !s.PortFixed {
		wanted = cmp.Or(s.Box.HTTPPort, wanted)
	}
	port, err := s.httpPort(ctx, wanted)
	if err == nil {
		s.Box.HTTPPort = port
		s.Box.RegistryPort, err = s.nextFree(cmp.Or(s.Box.RegistryPort, registryPort), s.Box.HTTPPort)
	}
	if err == nil && (s.Box.APIPort == 0 || !s.claim(s.Box.APIPort)) {
		s.Box.APIPort, err = s.anyFree(s.Box.HTTPPort, s.Box.RegistryPort)
	}
	if err != nil {
		s.Add("port", Fail, err.Error(), "choose another with --port")
		return
	}
	if s.Box.RegistryPort != registryPort {
		s.Add("registry port", OK, fmt.Sprintf("127.0.0.1:%d is taken, so the registry is on %d", registryPort, s.Box.RegistryPort), "")
	}
}

// SettlePort gives the box one more port, of the system's choice, after
// SettlePorts. A box that was made before it had such a port gets it here, too.
func (s *Survey) SettlePort(port *int) {
	kept := *port != 0 && (s.There || s.claim(*port))
	if kept || len(s.Failed()) > 0 {
		return
	}
	var err error
	if *port, err = s.anyFree(s.Box.HTTPPort, s.Box.RegistryPort, s.Box.APIPort); err != nil {
		s.Add("port", Fail, err.Error(), "")
	}
}

// SettleGatewayPort gives s.Box a port of 127.0.0.1 for its gateway and no other,
// which it had before where nobody has taken that.
func (s *Survey) SettleGatewayPort(ctx context.Context) {
	wanted := s.Port
	if !s.PortFixed {
		wanted = cmp.Or(s.Box.HTTPPort, wanted)
	}
	port, err := s.httpPort(ctx, wanted)
	if err != nil {
		s.Add("port", Fail, err.Error(), "choose another with --port")
		return
	}
	s.Box.HTTPPort = port
}

func (s *Survey) keptPort() {
	if s.PortFixed && s.Port != s.Box.HTTPPort {
		s.Add("port", Fail, fmt.Sprintf("box %s is on 127.0.0.1:%d, not on %d", s.Box.Name, s.Box.HTTPPort, s.Port),
			"run `"+Command(s.Name, "down")+"` first to move it")
		return
	}
	s.Add("port", OK, fmt.Sprintf("box on 127.0.0.1:%d", s.Box.HTTPPort), "")
}

// httpPort is the wanted port where it is free, and otherwise the next one.
func (s *Survey) httpPort(ctx context.Context, wanted int) (int, error) {
	if s.claim(wanted) {
		s.Add("port", OK, fmt.Sprintf("127.0.0.1:%d free", wanted), "")
		return wanted, nil
	}
	at := takenAt(wanted)
	said := cmp.Or(at, fmt.Sprintf("127.0.0.1:%d", wanted)) + " is taken"
	if who := holder(ctx, wanted); who != "" {
		said += " by " + who
	} else if at == "" {
		said += " by another box that is coming up"
	}
	if s.PortFixed {
		return 0, errors.New(said)
	}
	port, err := s.nextFree(wanted + 1)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", said, err)
	}
	s.Add("port", Warn, fmt.Sprintf("%s, so the box is on 127.0.0.1:%d", said, port), "choose one with --port")
	return port, nil
}

// claim says whether the port is free, and keeps others who bring a box up from
// choosing it, until release: between a choice and the box's listening lies the
// time of a whole start. Whatever XDG_CONFIG_HOME they have, the ports are the
// machine's, so what is claimed is kept in the user's cache directory.
func (s *Survey) claim(port int) bool {
	if s.claims[port] != nil {
		return free(port)
	}
	if !free(port) {
		return false
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return true // where nothing can be kept there is no other box
	}
	release, err := holdFile(s.Name, filepath.Join(cache, "devbox", "ports", strconv.Itoa(port)))
	if _, busy := errors.AsType[*BusyError](err); busy {
		return false
	}
	if err == nil { // else it is the same
		if s.claims == nil {
			s.claims = map[int]func(){}
		}
		s.claims[port] = release
	}
	return true
}

// release lets others have the ports again that nobody listens on.
func (s *Survey) release() {
	for _, release := range s.claims {
		release()
	}
	s.claims = nil
}

// free says whether nobody listens on the port, by either of this machine's
// loopback addresses: a browser that is given a name in localhost asks [::1]
// first. Where there is no IPv6 there is nobody on it.
func free(port int) bool { return takenAt(port) == "" }

// takenAt is the address of this machine at which somebody has the port, "" for
// none.
func takenAt(port int) string {
	for _, host := range []string{"127.0.0.1", "::1"} {
		at := net.JoinHostPort(host, strconv.Itoa(port))
		l, err := net.Listen("tcp", at)
		if err != nil && (host == "127.0.0.1" || errors.Is(err, unix.EADDRINUSE)) {
			return at
		}
		if err == nil {
			_ = l.Close()
		}
	}
	return ""
}

// nextFree is the first free port from port on that is none of but.
func (s *Survey) nextFree(port int, but ...int) (int, error) {
	for p := port; p < min(port+portTries, 65536); p++ {
		if !slices.Contains(but, p) && s.claim(p) {
			return p, nil
		}
	}
	return 0, fmt.Errorf("no free port from %d to %d", port, port+portTries-1)
}

// anyFree is a free port of the system's choice that is none of but.
func (s *Survey) anyFree(but ...int) (int, error) {
	for range portTries {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port := l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		if !slices.Contains(but, port) && s.claim(port) {
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
