package cluster

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// Namespace is what the node's kernel says of the network of one pod.
type Namespace struct {
	Rules       string // of its nat table, as iptables-save -c prints them
	Connections string // of TCP, as conntrack -L does
	Failed      string // why there is neither, in words
}

// Namespaces reads the network of pods of the cluster, which are named by
// their UIDs. Every one has its entry in what is returned. It changes nothing.
func (c *Cluster) Namespaces(ctx context.Context, uids []string) (map[string]Namespace, error) {
	if len(uids) == 0 {
		return nil, nil
	}
	var out bytes.Buffer
	command := append([]string{"exec", c.node, "sh", "-c", readNamespaces, "sh"}, uids...)
	if err := docker.Run(ctx, nil, &out, command...); err != nil {
		return nil, fmt.Errorf("reading the pods' network in node %s: %w", c.node, err)
	}
	return namespaces(out.String()), nil
}

// readNamespaces prints the network of each pod of its arguments. A pod's
// namespace is that of a process whose control group has the pod's UID, which
// is so with every container runtime. The rules may be kept by either of the
// kernel's two ways; the older is asked where the newer has none, since asking
// makes its tables.
const readNamespaces = `
for uid in "$@"; do
	echo "== pod $uid"
	pid=$(grep -lsE "pod($uid|$(echo "$uid" | tr - _))" /proc/[0-9]*/cgroup | head -n 1 | cut -d/ -f3)
	if [ -z "$pid" ]; then
		echo "== failed"
		echo "no process of the pod is in the node"
		continue
	fi
	echo "== rules"
	if nsenter --net=/proc/$pid/ns/net iptables-nft-save -c -t nat 2>/dev/null | grep -q -e '-A '; then
		save=iptables-nft-save
	elif command -v iptables-legacy-save >/dev/null; then
		save=iptables-legacy-save
	else
		save=iptables-save
	fi
	if ! said=$(nsenter --net=/proc/$pid/ns/net $save -c -t nat 2>&1); then
		echo "== failed"
	fi
	echo "$said"
	echo "== connections"
	nsenter --net=/proc/$pid/ns/net conntrack -L -p tcp 2>/dev/null
done
true`

// namespaces reads what readNamespaces has printed.
func namespaces(printed string) map[string]Namespace {
	all := map[string]Namespace{}
	uid, section := "", ""
	for line := range strings.Lines(printed) {
		if name, ok := strings.CutPrefix(line, "== pod "); ok {
			uid, section = strings.TrimSpace(name), ""
			all[uid] = Namespace{}
			continue
		}
		if name, ok := strings.CutPrefix(line, "== "); ok {
			section = strings.TrimSpace(name)
			continue
		}
		one := all[uid]
		switch section {
		case "rules":
			one.Rules += line
		case "connections":
			one.Connections += line
		case "failed":
			one.Failed = strings.TrimSpace(one.Failed + " " + strings.TrimSpace(line))
		}
		all[uid] = one
	}
	return all
}
