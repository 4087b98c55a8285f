package container

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Of linux/prctl.h and linux/capability.h.
const (
	prSetPdeathsig    = 1
	prCapBsetRead     = 23
	prCapBsetDrop     = 24
	prSetNoNewPrivs   = 38
	prCapAmbient      = 47
	prCapAmbientClear = 4
	capabilityVersion = 0x20080522
)

// rootMay is what a container's root may do: what container engines let it by
// default, without raw sockets (the network may be the machine's), devices, and
// the audit log.
const rootMay uint64 = 1<<capChown | 1<<capDACOverride | 1<<capFowner | 1<<capFsetid | 1<<capKill |
	1<<capSetgid | 1<<capSetuid | 1<<capSetpcap | 1<<capNetBindService | 1<<capSysChroot | 1<<capSetfcap

const (
	capChown          = 0
	capDACOverride    = 1
	capFowner         = 3
	capFsetid         = 4
	capKill           = 5
	capSetgid         = 6
	capSetuid         = 7
	capSetpcap        = 8
	capNetBindService = 10
	capSysChroot      = 18
	capSetfcap        = 31
)

// drop becomes the user, and gives up what a container may not do, for good.
func (r *Root) drop() error {
	var may uint64
	if r.UID == 0 {
		may = rootMay
	}
	for c := uintptr(0); prctl(prCapBsetRead, c, 0) == nil; c++ {
		if may&(1<<c) != 0 {
			continue
		}
		if err := prctl(prCapBsetDrop, c, 0); err != nil {
			return fmt.Errorf("giving up capabilities: %w", err)
		}
	}
	if !r.UserNS {
		if err := r.become(); err != nil {
			return err
		}
	}
	if err := errors.Join(prctl(prCapAmbient, prCapAmbientClear, 0), capset(may)); err != nil {
		return fmt.Errorf("giving up capabilities: %w", err)
	}
	if err := prctl(prSetNoNewPrivs, 1, 0); err != nil {
		return fmt.Errorf("giving up new privileges: %w", err)
	}
	return nil
}

// become changes to the user, to whom its output belongs from now on: else it
// could not open /dev/stdout.
func (r *Root) become() error {
	for fd := range 3 {
		var stat syscall.Stat_t
		if err := syscall.Fstat(fd, &stat); err == nil && stat.Mode&syscall.S_IFMT == syscall.S_IFIFO {
			_ = syscall.Fchown(fd, r.UID, r.GID) // without, it is as it would be had we not tried
		}
	}
	if err := errors.Join(syscall.Setgroups(r.Groups), syscall.Setgid(r.GID), syscall.Setuid(r.UID)); err != nil {
		return fmt.Errorf("becoming user %d:%d: %w", r.UID, r.GID, err)
	}
	return nil
}

// tie makes sure that the process dies with the Runner. A change of user has
// undone what it was started with.
func tie() error {
	if err := prctl(prSetPdeathsig, uintptr(syscall.SIGKILL), 0); err != nil {
		return fmt.Errorf("tying itself to the runner: %w", err)
	}
	// The Runner keeps the other end open. Where there is nothing to read yet
	// it lives, and its death will be noticed; at an end it has died before.
	if err := syscall.SetNonblock(specFile, true); err != nil {
		return fmt.Errorf("tying itself to the runner: %w", err)
	}
	if n, err := syscall.Read(specFile, make([]byte, 1)); n == 0 && err == nil {
		os.Exit(1)
	}
	return nil
}

func prctl(option int, a, b uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, uintptr(option), a, b, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

// capset makes may all that this thread is permitted.
func capset(may uint64) error {
	header := struct {
		version uint32
		pid     int32
	}{version: capabilityVersion}
	type set struct{ effective, permitted, inheritable uint32 }
	sets := [2]set{{uint32(may), uint32(may), 0}, {uint32(may >> 32), uint32(may >> 32), 0}}
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets)), 0); errno != 0 {
		return errno
	}
	return nil
}
