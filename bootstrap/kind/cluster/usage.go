package cluster

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// Usage is what a container has taken so far.
type Usage struct {
	CPU    time.Duration // of all cores together
	Memory uint64        // its working set now, in bytes: what it uses, without files that nobody has read lately
}

// Usage reads what containers have taken, which are named by their IDs, from
// their control groups in the node. One that does not run has no entry. It is
// what the kubelet says too, which looks every ten seconds or later: too seldom
// for who measures for five.
func (c *Cluster) Usage(ctx context.Context, ids []string) (map[string]Usage, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	command := append([]string{"exec", c.node, "sh", "-c", readUsage, "sh"}, ids...)
	if err := docker.Run(ctx, nil, &out, command...); err != nil {
		return nil, fmt.Errorf("reading what containers take in node %s: %w", c.node, err)
	}
	return usages(out.String()), nil
}

// readUsage prints for each container of its arguments: the ID, its CPU time
// and that number's unit, its memory, and of that the inactive files. The
// kernel keeps control groups in one of two ways.
const readUsage = `
for id in "$@"; do
	groups=$(grep -lsF "$id" /proc/[0-9]*/cgroup | head -n 1)
	[ -n "$groups" ] || continue
	path() { grep -E "^[0-9]+:$1:" "$groups" | head -n 1 | cut -d: -f3-; }
	if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
		at=/sys/fs/cgroup$(path '')
		echo "$id $(sed -n 's/^usage_usec //p' $at/cpu.stat) us $(cat $at/memory.current) $(sed -n 's/^inactive_file //p' $at/memory.stat)"
	else
		cpu=/sys/fs/cgroup/cpuacct$(path '[^:]*cpuacct[^:]*')
		memory=/sys/fs/cgroup/memory$(path memory)
		echo "$id $(cat $cpu/cpuacct.usage) ns $(cat $memory/memory.usage_in_bytes) $(sed -n 's/^total_inactive_file //p' $memory/memory.stat)"
	fi
done 2>/dev/null
true`

// usages reads what readUsage has printed. A container that ended meanwhile
// has a line that is not whole.
func usages(printed string) map[string]Usage {
	all := map[string]Usage{}
	for line := range strings.Lines(printed) {
		fields := strings.Fields(line)
		if len(fields) != 5 {
			continue
		}
		cpu, err1 := strconv.ParseInt(fields[1], 10, 64)
		memory, err2 := strconv.ParseUint(fields[3], 10, 64)
		files, err3 := strconv.ParseUint(fields[4], 10, 64)
		unit := time.Nanosecond
		if fields[2] == "us" {
			unit = time.Microsecond
		}
		if err1 == nil && err2 == nil && err3 == nil {
			all[fields[0]] = Usage{CPU: time.Duration(cpu) * unit, Memory: memory - min(files, memory)}
		}
	}
	return all
}
