package runner

import (
	"errors"

	"golang.org/x/sys/unix"
)

// makeFifo makes a named pipe.
func makeFifo(path string) error { return unix.Mkfifo(path, 0o600) }

// makeWhiteout makes the device 0/0, by which overlayfs knows that the lower
// layers' file is gone. Since Linux 5.8 everybody may make this one.
func makeWhiteout(path string) error { return unix.Mknod(path, unix.S_IFCHR, 0) }

// makeOpaque marks a directory that hides the lower layers', for mounts by
// root and for those in a user namespace, which may not read the first.
func makeOpaque(path string) error {
	for _, attribute := range []string{"trusted.overlay.opaque", "user.overlay.opaque"} {
		err := unix.Lsetxattr(path, attribute, []byte("y"), 0)
		if errors.Is(err, unix.EPERM) && attribute == "trusted.overlay.opaque" {
			continue // not root, and neither is who mounts it
		}
		if err != nil {
			return err
		}
	}
	return nil
}
