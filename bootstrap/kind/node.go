package kind

import (
	"context"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

var _ bootstrap.Node = entrance{}

// Networks looks into the node's container.
func (e entrance) Networks(ctx context.Context, uids []string) (map[string]bootstrap.Network, error) {
	read, err := cluster.New(e.box.Name).Namespaces(ctx, uids)
	all := make(map[string]bootstrap.Network, len(read))
	for uid, n := range read {
		all[uid] = bootstrap.Network(n)
	}
	return all, err
}

// Usage looks into the node's container.
func (e entrance) Usage(ctx context.Context, ids []string) (map[string]bootstrap.Usage, error) {
	read, err := cluster.New(e.box.Name).Usage(ctx, ids)
	all := make(map[string]bootstrap.Usage, len(read))
	for id, u := range read {
		all[id] = bootstrap.Usage(u)
	}
	return all, err
}
