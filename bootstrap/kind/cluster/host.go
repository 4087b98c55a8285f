package cluster

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Host is the address at which pods reach this machine: what Docker Desktop calls
// host.docker.internal, or else the gateway of the node's network.
func (c *Cluster) Host(ctx context.Context) (netip.Addr, error) {
	var out bytes.Buffer
	if err := c.Exec(ctx, nil, &out, "sh", "-c", "getent ahostsv4 host.docker.internal || ip -4 route show default"); err != nil {
		return netip.Addr{}, fmt.Errorf("asking the node for this machine's address: %w", err)
	}
	return hostIn(out.String())
}

// hostIn is the address in what getent or ip has printed.
func hostIn(out string) (netip.Addr, error) {
	fields := strings.Fields(strings.TrimPrefix(out, "default via "))
	if len(fields) == 0 {
		return netip.Addr{}, fmt.Errorf("the node has no way out: %q", out)
	}
	address, err := netip.ParseAddr(fields[0])
	if err != nil {
		return netip.Addr{}, fmt.Errorf("reading this machine's address in %q: %w", out, err)
	}
	return address, nil
}
