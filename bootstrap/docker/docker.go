// Package docker runs the docker command: the one way the box's parts reach
// the container engine, so that whatever context, socket or credential helper
// a person has set up for docker is what devbox uses too.
//
// Every command ends when its context does, and an error carries the engine's
// own words. Commands run in a process group of their own: a Ctrl-C at the
// terminal reaches devbox, which decides what to stop, and not the clean-up it
// is running.
package docker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// The ways the engine can be out of reach, each with its own remedy.
var (
	ErrMissing    = errors.New("docker is not installed")
	ErrStopped    = errors.New("docker is not running")
	ErrPermission = errors.New("no permission to talk to docker")
	ErrPodman     = errors.New("docker is podman here")
)

// Error is a docker command that ended badly.
type Error struct {
	Args   []string
	Stderr string
	Err    error
}

func (e *Error) Error() string {
	said := strings.TrimSpace(e.Stderr)
	if said == "" {
		said = e.Err.Error()
	}
	lines := strings.Split(said, "\n")
	if left := len(lines) - lastLines; left > 0 { // progress, for the most part
		said = fmt.Sprintf("%s\n(its last %d lines; %d before them are left out)", strings.Join(lines[left:], "\n"), lastLines, left)
	}
	return fmt.Sprintf("docker %s: %s", e.Args[0], said)
}

// lastLines is how much of what a command said is in an error's words.
const lastLines = 10

func (e *Error) Unwrap() error { return e.Err }

// Run runs docker with args, streaming stdin to it and its output to stdout;
// either may be nil.
func Run(ctx context.Context, stdin io.Reader, stdout io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second
	cmd.Stdin, cmd.Stdout = stdin, stdout
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return &Error{Args: args, Stderr: stderr.String(), Err: reachable(err, stderr.String())}
}

// Output runs docker with args and returns what it printed, trimmed.
func Output(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := Run(ctx, nil, &out, args...)
	return strings.TrimSpace(out.String()), err
}

// reachable turns the engine's words into one of the Err values where the
// engine could not be reached, and returns err where it could.
func reachable(err error, stderr string) error {
	said := strings.ToLower(stderr)
	switch {
	case errors.Is(err, exec.ErrNotFound):
		return ErrMissing
	case strings.Contains(said, "permission denied while trying to connect"):
		return ErrPermission
	case strings.Contains(said, "cannot connect to the docker daemon"),
		strings.Contains(said, "failed to connect to the docker api"),
		strings.Contains(said, "error during connect"):
		return ErrStopped
	}
	return err
}

// Info is what devbox wants to know of the engine.
type Info struct {
	ServerVersion string
	CgroupVersion string // "1" or "2"
	NCPU          int
	MemTotal      uint64
	DockerRootDir string
}

// GetInfo asks the engine about itself.
func GetInfo(ctx context.Context) (Info, error) {
	var info struct {
		Info
		ServerErrors []string
	}
	out, err := Output(ctx, "info", "--format", "{{json .}}")
	if err != nil {
		return Info{}, err
	}
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		return Info{}, fmt.Errorf("reading docker info: %w", err)
	}
	// Older clients end well and tell of the trouble in what they print.
	if len(info.ServerErrors) > 0 {
		said := strings.Join(info.ServerErrors, "; ")
		return Info{}, &Error{Args: []string{"info"}, Stderr: said, Err: reachable(errors.New(said), said)}
	}
	if info.ServerVersion == "" { // another program's answer, or no engine's
		if version, err := Output(ctx, "-v"); err == nil && strings.Contains(strings.ToLower(version), "podman") {
			return Info{}, ErrPodman
		}
		return Info{}, &Error{Args: []string{"info"}, Stderr: "it says nothing of a server", Err: ErrStopped}
	}
	return info.Info, nil
}

// Elsewhere is the address of the engine where that is another machine, by the
// context or DOCKER_HOST in force, and empty where it is this one or not known.
func Elsewhere(ctx context.Context) string {
	host, err := Output(ctx, "context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
	if err != nil {
		return ""
	}
	u, err := url.Parse(host)
	if err != nil || u.Hostname() == "" || u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback() {
		return ""
	}
	return host
}

// IsNotFound says whether err is the engine's word that there is no such
// container, image or network.
func IsNotFound(err error) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	said := strings.ToLower(e.Stderr)
	return strings.Contains(said, "no such") || strings.Contains(said, "not found")
}
