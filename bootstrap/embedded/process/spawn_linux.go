package process

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Attributes are ways to start the box's process, the best first. One that is
// not root's gets a user namespace, in which it may make network namespaces for
// its pods: whoever has made one may join it, and only with one that owns them
// all can each container be in its pod's. Files and ids are the user's own.
func Attributes() []*syscall.SysProcAttr {
	plain := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		return []*syscall.SysProcAttr{plain}
	}
	uid, gid := os.Geteuid(), os.Getegid()
	return []*syscall.SysProcAttr{{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: uid, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: gid, HostID: gid, Size: 1}},
		AmbientCaps: []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN},
	}, plain}
}
