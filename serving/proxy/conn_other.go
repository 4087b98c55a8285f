//go:build !unix

package proxy

import "syscall"

// closedByPeer leaves it to net/http to notice.
func closedByPeer(syscall.RawConn, bool) bool { return false }
