package bootstrap

import (
	"context"
	"time"
)

// Node is the machine that a box's pods run on, seen from outside the pods. It
// changes nothing.
type Node interface {
	// Networks reads what the kernel does with the connections of pods, which
	// are named by their UIDs.
	Networks(ctx context.Context, uids []string) (map[string]Network, error)

	// Usage reads what containers have taken so far, which are named by their
	// IDs. One that does not run has no entry.
	Usage(ctx context.Context, ids []string) (map[string]Usage, error)
}

// Network is what the kernel says of the network of one pod.
type Network struct {
	Rules       string // of its nat table, as iptables-save -c prints them
	Connections string // of TCP, as conntrack -L does
	Failed      string // why there is neither, in words
}

// Usage is what a container has taken so far.
type Usage struct {
	CPU    time.Duration // of all cores together
	Memory uint64        // its working set now, in bytes
}

// Node is the node of a box, nil where it has none: pods are then processes of
// this machine like others.
func (b *Box) Node() Node {
	node, _ := b.Entrance.(Node)
	return node
}
