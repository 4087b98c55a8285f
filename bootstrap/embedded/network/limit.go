package network

import (
	"golang.org/x/sys/unix"
)

const (
	// maxFlows is how many connections a pod may have out at a time, and how
	// many conversations over UDP besides.
	maxFlows = 1024
	// maxDialing is how many connections of a pod are dialled at a time.
	maxDialing = 128
	// maxQuestions is how many names are looked up for a pod at a time.
	maxQuestions = 64
)

// allFlows is how many flows all pods may have together: each is an open file
// of the box's process, which needs files for other things too.
func allFlows() int {
	const fewest, most = 64, 16 * maxFlows
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fewest
	}
	return int(max(fewest, min(most, files.Cur/4)))
}

// limit counts what there may be so many of.
type limit chan struct{}

func newLimit(n int) limit { return make(limit, n) }

// take returns false where there is no room.
func (l limit) take() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l limit) give() { <-l }
