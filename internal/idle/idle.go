// Package idle lets a process that mostly waits, a session or an embedded box,
// hold little memory while it does.
package idle

import (
	"runtime/debug"
	"time"
)

// percent lets the heap grow by a quarter between collections, where Go's
// default is to double it: who waits allocates little.
const percent = 25

// settled is how long after the start the first answers are out, which a
// collection would delay.
const settled = 5 * time.Second

// Settle gives back what starting took, a little later.
func Settle() {
	time.AfterFunc(settled, func() {
		debug.SetGCPercent(percent)
		debug.FreeOSMemory()
	})
}
