package node

import "golang.org/x/sys/unix"

func memorySize() (int64, error) {
	size, err := unix.SysctlUint64("hw.memsize")
	return int64(size), err
}
