//go:build unix

package proxy

import (
	"errors"
	"syscall"
)

// closedByPeer looks at what comes next on a connection that nobody uses,
// without taking it and without waiting for it. Within TLS whatever comes then
// is a farewell.
func closedByPeer(raw syscall.RawConn, sealed bool) (closed bool) {
	look := func(fd uintptr) {
		var next [1]byte
		n, _, err := syscall.Recvfrom(int(fd), next[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if err == nil {
			closed = n == 0 || sealed
			return
		}
		closed = !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	}
	return raw.Control(look) != nil || closed
}
