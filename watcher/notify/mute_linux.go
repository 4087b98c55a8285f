package notify

import "golang.org/x/sys/unix"

// mute says whether the kernel may not hear of what changes in a folder: on
// the file systems where another machine, or the one around this virtual one,
// may write, and on those laid over others. The numbers are of statfs(2).
func mute(dir string) bool {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return false
	}
	const vboxsf = 0x786f4256 // of VirtualBox, in linux/magic.h, and not in the package
	switch uint32(s.Type) {   //nolint:gosec // magic numbers have 32 bits
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC,
		unix.FUSE_SUPER_MAGIC, unix.V9FS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, vboxsf:
		return true
	}
	return false
}
