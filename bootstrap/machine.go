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
	gib           = 1 << 30
	goodCores     = 2
	goodInstances = 128
	goodWatches   = 16384
)

// need is what a box of one engine asks of a machine.
type need struct {
	leastMemory, goodMemory uint64
	leastDisk, goodDisk     uint64
	place                   string // where the disk is needed
	moreDisk, moreCores     string // how to have more
}

// What a box needs: on kind the node, Istio and the stack hold 1.3 GB of
// memory, and the images and the node's files take 3 GB of disk. The embedded
// engine holds 0.3 GB, and takes the disk of its registry and its etcd.
var (
	needKind = need{
		leastMemory: 1 * gib, goodMemory: 3 * gib, leastDisk: 2 * gib, goodDisk: 6 * gib,
		place:    "where docker keeps its files",
		moreDisk: "remove what docker no longer needs with `docker system prune`", moreCores: "give docker more",
	}
	needEmbedded = need{
		leastMemory: gib / 2, goodMemory: 1 * gib, leastDisk: gib / 2, goodDisk: 2 * gib,
		place:    "for the box's folder",
		moreDisk: "remove what you no longer need, or set XDG_CONFIG_HOME to a directory on another disk", moreCores: "a build will take both",
	}
)

// judge says what m and its cores mean for a box.
func judge(s *survey, m machine, cores int, n need) {
	judgeSize(s, "memory", "free", m.memory, n.leastMemory, n.goodMemory, "end programs that you do not need")
	judgeSize(s, "disk", "of disk free "+n.place, m.disk, n.leastDisk, n.goodDisk, n.moreDisk)
	have := fmt.Sprintf("%d cores", cores)
	if cores < goodCores {
		s.add("cores", Warn, strings.TrimSuffix(have, "s")+" only: everything will be slow", n.moreCores)
	} else {
		s.add("cores", OK, have, "")
	}
	judgeInotify(s, m)
}

func judgeSize(s *survey, name, what string, have, least, good uint64, hint string) {
	if have == 0 {
		return // not known here
	}
	said := size(have) + " " + what
	switch {
	case have < least:
		s.add(name, Fail, fmt.Sprintf("%s, %s needed", said, size(least)), hint)
	case have < good:
		s.add(name, Warn, fmt.Sprintf("%s, %s are better", said, size(good)), hint)
	default:
		s.add(name, OK, said, "")
	}
}

// size is bytes for people.
func size(bytes uint64) string {
	if bytes < gib {
		return fmt.Sprintf("%d MiB", bytes>>20)
	}
	return fmt.Sprintf("%d GiB", bytes/gib)
}

// judgeInotify looks at the limits that the box shares with every editor and
// watcher of the same user.
func judgeInotify(s *survey, m machine) {
	const more = "sudo sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288"
	switch {
	case m.inotify != nil:
		s.add("inotify", Fail, fmt.Sprintf("no inotify instance is left: %v", m.inotify), "`"+more+"`")
	case m.instances == 0 || m.watches == 0: // not known here
	case m.instances < goodInstances || m.watches < goodWatches:
		s.add("inotify", Warn, fmt.Sprintf("inotify is limited to %d instances and %d watches", m.instances, m.watches), "if watching fails: `"+more+"`")
	default:
		s.add("inotify", OK, fmt.Sprintf("%d inotify instances and %d watches", m.instances, m.watches), "")
	}
}
