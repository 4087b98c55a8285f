package load

import (
	"fmt"
	"strings"
)

// reserved are the descriptors that a process needs for everything else.
const reserved = 64

// OutOfSockets says that an error is of this machine, which has no descriptor
// or no port left.
func OutOfSockets(text string) bool {
	return strings.Contains(text, "too many open files") || strings.Contains(text, "cannot assign requested address")
}

// Sockets is how many a plan may need at once. HTTP/2 carries many requests
// over one.
func (p Plan) Sockets() uint64 {
	switch {
	case p.HTTP2:
		return 0
	case p.MaxConnections > 0 && uint64(p.MaxConnections) < p.MaxWorkers:
		return uint64(p.MaxConnections)
	}
	return p.MaxWorkers
}

// FreeSockets is how many connections this process may have, as far as the
// system bounds it.
func FreeSockets() (n uint64, err error) {
	limit, err := descriptors()
	if err != nil {
		return 0, fmt.Errorf("asking how many files may be open: %w", err)
	}
	return limit - min(limit, reserved), nil
}
