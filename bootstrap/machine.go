package bootstrap

import (
	"fmt"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// machine is what was measured of this machine. What could not be is zero.
type machine struct {
	memory    uint64 // available, in bytes
	disk      uint64 // free where docker keeps its files, in bytes
	instances int    // inotify instances that a user may have
	watches   int    // inotify watches that a user may have
	inotify   error  // why no inotify instance could be made
}

// What a box needs: the node, Istio and the stack hold 1.3 GB of memory, and
// the images and the node's files take 3 GB of disk.
const (
	gib           = 1 << 30
	leastMemory   = 1 * gib
	goodMemory    = 3 * gib
	leastDisk     = 2 * gib
	goodDisk      = 6 * gib
	goodCores     = 2
	goodInstances = 128
	goodWatches   = 16384
)

// judge says what m and the engine mean for a box.
func judge(s *survey, m machine, engine docker.Info) {
	judgeSize(s, "memory", "free", m.memory, leastMemory, goodMemory, "end programs that you do not need")
	judgeSize(s, "disk", "of disk free where docker keeps its files", m.disk, leastDisk, goodDisk, "remove what docker no longer needs with `docker system prune`")
	cores := fmt.Sprintf("%d cores", engine.NCPU)
	if engine.NCPU < goodCores {
		s.add("cores", Warn, strings.TrimSuffix(cores, "s")+" only: everything will be slow", "give docker more")
	} else {
		s.add("cores", OK, cores, "")
	}
	judgeInotify(s, m)
	if engine.CgroupVersion == "1" {
		s.add("cgroups", OK, "cgroup v1, which Kubernetes is about to drop", "")
	}
}

func judgeSize(s *survey, name, what string, have, least, good uint64, hint string) {
	if have == 0 {
		return // not known here
	}
	said := fmt.Sprintf("%d GiB %s", have/gib, what)
	if have < gib {
		said = fmt.Sprintf("%d MiB %s", have>>20, what)
	}
	switch {
	case have < least:
		s.add(name, Fail, fmt.Sprintf("%s, %d GiB needed", said, least/gib), hint)
	case have < good:
		s.add(name, Warn, fmt.Sprintf("%s, %d GiB are better", said, good/gib), hint)
	default:
		s.add(name, OK, said, "")
	}
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
