package container

import (
	"fmt"
	"os"
	"syscall"
)

// deviceFiles are those of every container, taken from the machine: only the
// machine's root may make new ones.
func deviceFiles() []Mount {
	names := []string{"null", "zero", "full", "random", "urandom", "tty"}
	devices := make([]Mount, len(names))
	for i, name := range names {
		devices[i] = Mount{Source: "/dev/" + name, Target: "/dev/" + name}
	}
	return devices
}

// makeDev makes /dev but for the devices.
func makeDev() error {
	if err := os.MkdirAll("/dev", 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("tmpfs", "/dev", "tmpfs", syscall.MS_NOSUID|syscall.MS_NOEXEC, "mode=755,size=65536k"); err != nil {
		return fmt.Errorf("mounting /dev: %w", err)
	}
	for name, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(to, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := os.Mkdir("/dev/shm", 0o755); err != nil {
		return err
	}
	return os.Chmod("/dev/shm", os.ModeSticky|0o777)
}

// proc mounts /proc: one that shows the container's processes, or the
// machine's where it has no process ids of its own.
func (r *Root) proc() error {
	if err := os.MkdirAll("/proc", 0o755); err != nil {
		return err
	}
	if !r.OwnPIDs {
		if err := syscall.Mount(".", "/proc", "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return fmt.Errorf("mounting /proc: %w", err)
		}
	} else if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NOEXEC|syscall.MS_NODEV, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	if r.UserNS || !r.OwnPIDs {
		return nil // the kernel itself keeps a user namespace from the machine's settings
	}
	return shield()
}

// shield keeps the machine's settings and memory from a process that is the
// machine's root, as every container does.
func shield() error {
	for _, path := range []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"} {
		if _, err := os.Lstat(path); err != nil {
			continue // this kernel does not have it
		}
		if err := syscall.Mount(path, path, "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
			return fmt.Errorf("shielding %s: %w", path, err)
		}
		if err := readOnly(path, recursive); err != nil {
			return err
		}
	}
	for _, path := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list"} {
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := syscall.Mount("/dev/null", path, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("shielding %s: %w", path, err)
		}
	}
	return nil
}
