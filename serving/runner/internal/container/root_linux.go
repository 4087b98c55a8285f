package container

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

// open is a file or directory of the machine that shall be in the container.
type open struct {
	Mount
	fd int
}

// enter makes the root and moves into it. What of the machine shall be in it
// is opened before and bound after, so that its place is found as the
// container's own links have it and never outside.
func (r *Root) enter(workingDir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("keeping mounts to itself: %w", err)
	}
	devices, err := openAll(deviceFiles())
	if err != nil {
		return err
	}
	mounts, err := openAll(r.Mounts)
	if err != nil {
		return err
	}
	system, _ := openAll([]Mount{{Source: "/sys", Target: "/sys", ReadOnly: true}}) // nice to have
	if err := r.overlay(); err != nil {
		return err
	}
	leave, err := pivot(path.Join(r.Dir, "root"))
	if err != nil {
		return err
	}
	if err := errors.Join(makeDev(), bindAll(devices), bindAll(mounts)); err != nil {
		return err
	}
	_ = bindAll(system)
	if err := r.proc(); err != nil {
		return err
	}
	if err := leave(); err != nil {
		return err
	}
	if r.Hostname != "" {
		if err := syscall.Sethostname([]byte(r.Hostname)); err != nil {
			return fmt.Errorf("setting the host name: %w", err)
		}
	}
	if err := os.MkdirAll(workingDir, 0o755); err != nil {
		return fmt.Errorf("making the working directory: %w", err)
	}
	if r.ReadOnly {
		return readOnly("/", 0)
	}
	return nil
}

// overlay mounts the layers under the process's own directory for what it
// writes. Layers are named by open files, because the options of a mount hold
// one page only, and are not to be split at what a path may have in it.
func (r *Root) overlay() error {
	if err := os.Chdir(r.Dir); err != nil {
		return fmt.Errorf("mounting the image: %w", err)
	}
	lower := make([]string, len(r.Layers))
	for i, dir := range r.Layers {
		fd, err := openPath(dir)
		if err != nil {
			return err
		}
		lower[i] = "/proc/self/fd/" + strconv.Itoa(fd)
	}
	// What the process writes is of no use after a crash of the machine, so
	// nobody has to wait for the disk when it ends: volatile.
	options := "lowerdir=" + strings.Join(lower, ":") + ",upperdir=upper,workdir=work,volatile"
	if r.UserNS {
		options += ",userxattr"
	}
	if err := syscall.Mount("overlay", "root", "overlay", syscall.MS_NODEV, options); err != nil {
		return fmt.Errorf("mounting the image: %w", err)
	}
	return nil
}

// pivot makes dir the root. The old one lies over it until leave is called,
// out of the way of every path; the working directory is the old /proc, whose
// self/fd names what was opened.
func pivot(dir string) (leave func() error, err error) {
	old, err := openPath("/")
	if err != nil {
		return nil, err
	}
	proc, err := openPath("/proc")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chdir(dir), syscall.PivotRoot(".", "."), syscall.Fchdir(proc)); err != nil {
		return nil, fmt.Errorf("changing the root: %w", err)
	}
	return func() error {
		if err := errors.Join(syscall.Fchdir(old), syscall.Unmount(".", syscall.MNT_DETACH), os.Chdir("/")); err != nil {
			return fmt.Errorf("leaving the old root: %w", err)
		}
		return nil
	}, nil
}

func openPath(path string) (int, error) {
	const oPath = 0x200000 // O_PATH: a name for the file, no access to it
	fd, err := syscall.Open(path, oPath|syscall.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

func openAll(mounts []Mount) ([]open, error) {
	opened := make([]open, len(mounts))
	for i, m := range mounts {
		fd, err := openPath(m.Source)
		if err != nil {
			return nil, fmt.Errorf("mounting %s: %w", m.Target, err)
		}
		opened[i] = open{m, fd}
	}
	return opened, nil
}

func bindAll(opened []open) error {
	for _, o := range opened {
		if err := o.bind(); err != nil {
			return fmt.Errorf("mounting %s: %w", o.Target, err)
		}
	}
	return nil
}

// bind puts the file or directory at its place, which is made if need be.
func (o open) bind() error {
	var stat syscall.Stat_t
	if err := syscall.Fstat(o.fd, &stat); err != nil {
		return err
	}
	if stat.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		if err := os.MkdirAll(o.Target, 0o755); err != nil {
			return err
		}
	} else if err := touch(o.Target); err != nil {
		return err
	}
	err := syscall.Mount("self/fd/"+strconv.Itoa(o.fd), o.Target, "", syscall.MS_BIND|syscall.MS_REC, "")
	if err != nil || !o.ReadOnly {
		return err
	}
	return readOnly(o.Target, recursive)
}

func touch(file string) error {
	if err := os.MkdirAll(path.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDONLY, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// recursive makes readOnly go into the mounts that lie in one (AT_RECURSIVE).
const recursive = 0x8000

// readOnly takes writing away from a mount.
func readOnly(target string, flags uintptr) error {
	const sysMountSetattr = 442 // the same on every architecture; since Linux 5.12
	path, err := syscall.BytePtrFromString(target)
	if err != nil {
		return err
	}
	attr := struct{ set, clear, propagation, userns uint64 }{set: 1} // MOUNT_ATTR_RDONLY
	_, _, errno := syscall.Syscall6(sysMountSetattr, 0, uintptr(unsafe.Pointer(path)), flags,
		uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr), 0)
	if errno != 0 {
		return fmt.Errorf("making %s read-only: %w", target, errno)
	}
	return nil
}
