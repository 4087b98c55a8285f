package runner

import (
	"os"
	"syscall"

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

// setup are the capabilities that making a root takes.
var setup = []uintptr{
	1,  // CAP_DAC_OVERRIDE: places for mounts in directories that nobody may write
	8,  // CAP_SETPCAP: giving up the others
	21, // CAP_SYS_ADMIN: mounting
}
