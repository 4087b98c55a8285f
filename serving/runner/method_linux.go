package runner

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kind-in-a-box/devbox/serving/runner/internal/container"
)

// self is this program, also where its file was replaced since.
func self() string { return "/proc/self/exe" }

// method is how a process is isolated.
type method struct {
	overlay bool // the image's layers are its root
	pids    bool
	userNS  bool // by a user namespace; else by being root
}

// attributes are those of a new process, which is of its own group and dies
// with the thread that makes it.
func (m method) attributes(root *container.Root) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if root == nil {
		return attr
	}
	attr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC
	if m.pids {
		attr.Cloneflags |= syscall.CLONE_NEWPID
	}
	if m.userNS {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: root.UID, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: root.GID, HostID: os.Getegid(), Size: 1}}
		attr.AmbientCaps = setup // a user who is not root loses them when it runs a program
	}
	return attr
}

// inNetwork runs start with this thread in a network namespace, which what it
// starts is then in too. A thread that cannot be brought home would start all
// others in the wrong place.
func inNetwork(network *os.File, start func() error) error {
	if network == nil {
		return start()
	}
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		return fmt.Errorf("finding the machine's network: %w", err)
	}
	defer home.Close()
	if err := unix.Setns(int(network.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the pod's network: %w", err)
	}
	err = start()
	if home := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); home != nil {
		panic(fmt.Sprintf("leaving a pod's network: %v", home)) // it was ours a moment ago
	}
	return err
}

// setup are the capabilities that making a root takes.
var setup = []uintptr{
	1,  // CAP_DAC_OVERRIDE: places for mounts in directories that nobody may write
	8,  // CAP_SETPCAP: giving up the others
	21, // CAP_SYS_ADMIN: mounting
}
