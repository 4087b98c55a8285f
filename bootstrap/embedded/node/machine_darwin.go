package node

import "golang.org/x/sys/unix"

func memorySize() (int64, error) {
	size, err := unix.SysctlUint64("hw.memsize")
	return int64(size), err
}

func diskSize(dir string) (int64, error) {
	var disk unix.Statfs_t
	err := unix.Statfs(dir, &disk)
	return int64(disk.Blocks) * int64(disk.Bsize), err
}
