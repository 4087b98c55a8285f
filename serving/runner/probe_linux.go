package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// probe finds out how processes can be isolated here, the best way first, by
// isolating one that does nothing.
func (r *Runner) probe() (method, Isolation) {
	methods := []method{
		{overlay: true, pids: true, userNS: true},
		{overlay: true, userNS: true},
	}
	if os.Geteuid() == 0 {
		methods = append([]method{{overlay: true, pids: true}, {overlay: true}}, methods...)
	}
	var first error
	for _, m := range methods {
		err := r.try(m)
		if err == nil && m.pids {
			return m, Isolation{Root: true, PID: true}
		}
		if err == nil {
			return m, Isolation{Root: true, Reason: "a process gets no process ids of its own: " + first.Error()}
		}
		if first == nil {
			first = err
		}
	}
	return method{}, Isolation{Reason: "this machine gives a process no root of its own: " + explain(first)}
}

// try isolates a process that does nothing.
func (r *Runner) try(m method) error {
	dir, err := os.MkdirTemp(filepath.Join(r.dir, "running"), temporary)
	if err != nil {
		return err
	}
	defer func() { _ = RemoveAll(dir) }() // the next sweep does it else
	if err := makeDirs(dir, "upper", "work", "root"); err != nil {
		return err
	}
	c := container.Spec{Dir: "/", Root: &container.Root{
		Dir: dir, Layers: []string{filepath.Join(dir, "root")},
		Hostname: "trial", OwnPIDs: m.pids, UserNS: m.userNS, UID: 65532, GID: 65532, Trial: true,
	}}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p := &Process{name: "trial", dir: dir, runner: r, own: m.pids, record: filepath.Join(dir, "record.json"), cmd: m.command(c)}
	if err := p.start(ctx, Spec{}, c); err != nil {
		return err
	}
	return errors.Join(p.cmd.Wait(), p.alive.Close())
}

// explain adds what can be done where a kernel refuses ordinary users.
func explain(err error) string {
	for file, want := range map[string]string{
		"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0",
		"/proc/sys/kernel/unprivileged_userns_clone":             "1",
	} {
		value, none := os.ReadFile(file)
		if none == nil && strings.TrimSpace(string(value)) != want && os.Geteuid() != 0 {
			return fmt.Sprintf("%v; %s must be %s for that", err, file, want)
		}
	}
	return err.Error()
}
