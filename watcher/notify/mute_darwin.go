package notify

import "golang.org/x/sys/unix"

// mute says whether the kernel may not hear of what changes in a folder:
// where its file system is on another machine, by statfs(2).
func mute(dir string) bool {
	var s unix.Statfs_t
	return unix.Statfs(dir, &s) == nil && s.Flags&unix.MNT_LOCAL == 0
}
