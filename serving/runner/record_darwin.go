package runner

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// startOf tells when a process was made. One that has ended and waits for its
// parent is no more.
func startOf(pid int) (string, error) {
	p, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", err
	}
	const zombie = 5 // SZOMB
	if int(p.Proc.P_pid) != pid || p.Proc.P_stat == zombie {
		return "", fmt.Errorf("reading the state of process %d: %w", pid, unix.ESRCH)
	}
	return fmt.Sprintf("%d.%06d", p.Proc.P_starttime.Sec, p.Proc.P_starttime.Usec), nil
}
