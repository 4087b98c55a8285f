package bootstrap

import (
	"fmt"
	"strings"
)

// machine is what was measured of this machine. What could not be is zero.
type machine struct {
	memory    uint64 // available, in bytes
	disk      uint64 // free where the engine keeps its files, in bytes
	instances int    // inotify instances that a user may have
	watches   int    // inotify watches that a user may have
	inotify   error  // why no inotify instance could be made
}

// What a box needs of any machine.
const (
	goodCores   = 2
	goodWatches = 16384
)

// GiB is a size in bytes.
const GiB = 1 << 30

// Need is what a box of one engine asks of a machine. Sizes are in bytes.
type Need struct {
	LeastMemory, GoodMemory uint64
	LeastDisk, GoodDisk     uint64
	Instances               int    // of inotify, that are enough for several boxes
	Place                   string // where the disk is needed
	MoreDisk, MoreCores     string // how to have more
}

// Measure looks at this machine and says what that means for a box. The disk
// is looked at where path is, or will be.
func (s *Survey) Measure(path string, cores int, n Need) { s.judge(measure(existing(path)), cores, n) }

// judge says what m and its cores mean for a box.
func (s *Survey) judge(m machine, cores int, n Need) {
	s.judgeSize("memory", "free", m.memory, n.LeastMemory, n.GoodMemory, "end programs that you do not need")
	s.judgeSize("disk", "of disk free "+n.Place, m.disk, n.LeastDisk, n.GoodDisk, n.MoreDisk)
	have := fmt.Sprintf("%d cores", cores)
	if cores < goodCores {
		s.Add("cores", Warn, strings.TrimSuffix(have, "s")+" only: everything will be slow", n.MoreCores)
	} else {
		s.Add("cores", OK, have, "")
	}
	s.judgeInotify(m, n.Instances)
}

func (s *Survey) judgeSize(name, what string, have, least, good uint64, hint string) {
	if have == 0 {
		return // not known here
	}
	said := size(have) + " " + what
	switch {
	case have < least:
		s.Add(name, Fail, fmt.Sprintf("%s, %s needed", said, size(least)), hint)
	case have < good:
		s.Add(name, Warn, fmt.Sprintf("%s, %s are better", said, size(good)), hint)
	default:
		s.Add(name, OK, said, "")
	}
}

// size is bytes for people.
func size(bytes uint64) string {
	if bytes < GiB {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d GiB", bytes/GiB)
}

// judgeInotify looks at the limits that the box shares with every editor and
// watcher of the same user.
func (s *Survey) judgeInotify(m machine, good int) {
	const more = "sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"
	switch {
	case m.inotify != nil:
		s.Add("inotify", Fail, fmt.Sprintf("no inotify instance is left: %v", m.inotify), "`"+more+"`")
	case m.instances == 0 || m.watches == 0: // not known here
	case m.instances < good || m.watches < goodWatches:
		s.Add("inotify", Warn, fmt.Sprintf("inotify is limited to %d instances and %d watches", m.instances, m.watches), "if watching fails: `"+more+"`")
	default:
		s.Add("inotify", OK, fmt.Sprintf("%d inotify instances and %d watches", m.instances, m.watches), "")
	}
}
