//go:build !linux

package runner

import (
	"os"
	"syscall"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// self is this program.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return os.Args[0]
	}
	return path
}

// method is how a process is isolated: not at all.
type method struct{ overlay, pids, userNS bool }

func (method) attributes(*container.Root) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}

// canJoin has nothing to refuse: no process has a root of its own.
func (method) canJoin() error { return nil }

// inNamespaces starts where it is: there are no namespaces here.
func (Spec) inNamespaces(start func() error) error { return start() }

func (r *Runner) probe() (method, Isolation) {
	return method{}, Isolation{Reason: "only Linux gives a process a root of its own"}
}
