// Package idle lets a process that works in bursts, a session or an embedded
// box, hold little memory between them, and collect none of it while it works:
//
//	work --Go's own pace--> rest for a while --give back--> rest
//
// An edit that has to wait for collections in the box's process takes a third
// longer (BenchmarkLoop, with GOGC=25 in place of this).
package idle

import (
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// pause is how long a look takes to come after the one before.
	pause = 2 * time.Second
	// still is what a process at rest allocates in between, in bytes: an API
	// server has its leases and timers.
	still = 2 << 20
	// worth is what must have been allocated since memory was last given back.
	worth = 16 << 20
)

// Settle gives back what starting took, and again what work took, whenever
// there is no more of it. It is called once, when the process has started.
func Settle() {
	var s state
	var look func()
	look = func() {
		if s.due(allocated()) {
			debug.FreeOSMemory()
		}
		time.AfterFunc(pause, look)
	}
	time.AfterFunc(pause, look)
}

// state is what is known of a process, in bytes that it has allocated since it
// began: when somebody last looked, and when memory was last given back.
type state struct{ seen, given uint64 }

// due takes in how much has been allocated by now, and says whether memory is
// to be given back.
func (s *state) due(now uint64) bool {
	rests := now-s.seen < still
	s.seen = now
	if !rests || now-s.given < worth {
		return false
	}
	s.given = now
	return true
}

func allocated() uint64 {
	all := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64()
}
