package runner

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// startOf tells when a process was made, in ticks since this boot and with
// the boot's id. One that has ended and waits for its parent is no more.
func startOf(pid int) (string, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	// The second field is the program's name, in parentheses, and may hold
	// anything; here are those after it, the third and so on.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const state, start = 0, 22 - 3
	if len(fields) <= start {
		return "", fmt.Errorf("reading the state of process %d: %q", pid, stat)
	}
	if s := fields[state][0]; s == 'Z' || s == 'X' {
		return "", os.ErrProcessDone
	}
	return string(bytes.TrimSpace(boot)) + " " + string(fields[start]), nil
}
