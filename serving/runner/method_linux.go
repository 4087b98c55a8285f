package runner

import (
	"errors"
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
	if root.Shared {
		attr.Pdeathsig = 0 // Go takes a parent in other process ids for a dead one; the container ties itself later
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

// canJoin is why no process can share the root of another. A program with threads,
// as ours is, enters no user namespace.
func (m method) canJoin() error {
	if m.userNS {
		return errors.New("nothing enters a container of a user who is not root; a box that root runs has this, and one of the kind engine")
	}
	return nil
}

// A kernelNamespace is one that a thread can enter.
type kernelNamespace struct {
	name string
	kind int
	file *os.File
}

// inNamespaces runs start with this thread in the namespaces that the process is
// to be in.
func (s Spec) inNamespaces(start func() error) error {
	var all []kernelNamespace
	if s.Network != nil {
		all = append(all, kernelNamespace{"net", unix.CLONE_NEWNET, s.Network})
	}
	if s.In != nil && s.In.runner.isolation.Root { // else it has the machine's
		for _, n := range []kernelNamespace{ // the last decides where /proc is
			{name: "uts", kind: unix.CLONE_NEWUTS}, {name: "ipc", kind: unix.CLONE_NEWIPC},
			{name: "pid", kind: unix.CLONE_NEWPID}, {name: "mnt", kind: unix.CLONE_NEWNS},
		} {
			var err error
			if n.file, err = os.Open(fmt.Sprintf("/proc/%d/ns/%s", s.In.PID(), n.name)); err != nil {
				return fmt.Errorf("finding what %s runs in: %w", s.In.name, err)
			}
			defer n.file.Close()
			all = append(all, n)
		}
		if err := unix.Unshare(unix.CLONE_FS); err != nil { // a root is the thread's own from now on
			return fmt.Errorf("leaving the machine's root: %w", err)
		}
	}
	return within(all, start)
}

// within runs start with this thread in the namespaces. A thread that cannot be
// brought home would start all others in the wrong place.
func within(all []kernelNamespace, start func() error) error {
	if len(all) == 0 {
		return start()
	}
	n := all[0]
	home, err := os.Open("/proc/thread-self/ns/" + n.name)
	if err != nil {
		return fmt.Errorf("finding the machine's namespace %s: %w", n.name, err)
	}
	defer home.Close()
	if err := unix.Setns(int(n.file.Fd()), n.kind); err != nil {
		return fmt.Errorf("entering the namespace %s: %w", n.name, err)
	}
	err = within(all[1:], start)
	if home := unix.Setns(int(home.Fd()), n.kind); home != nil {
		panic(fmt.Sprintf("leaving the namespace %s: %v", n.name, home)) // it was ours a moment ago
	}
	return err
}

// setup are the capabilities that making a root takes.
var setup = []uintptr{
	1,  // CAP_DAC_OVERRIDE: places for mounts in directories that nobody may write
	8,  // CAP_SETPCAP: giving up the others
	21, // CAP_SYS_ADMIN: mounting
}
