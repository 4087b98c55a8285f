package cluster

import (
	"context"
	"fmt"
	"io"

	"github.com/kind-in-a-box/devbox/bootstrap/docker"
)

// network is the docker network that every kind cluster is on. kind makes it
// for the first and never removes it.
const network = "kind"

// NetworkExists says whether there is a network for kind clusters.
func NetworkExists(ctx context.Context) (bool, error) {
	err := docker.Run(ctx, nil, io.Discard, "network", "inspect", network)
	if docker.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for network %s: %w", network, err)
	}
	return true, nil
}

// RemoveUnusedNetwork removes the network of kind clusters unless a container,
// running or not, is on it. It says whether there is none any more.
func RemoveUnusedNetwork(ctx context.Context) (bool, error) {
	users, err := docker.Output(ctx, "ps", "--all", "--quiet", "--filter", "network="+network)
	if err != nil {
		return false, fmt.Errorf("looking who is on network %s: %w", network, err)
	}
	if users != "" {
		return false, nil
	}
	if err := docker.Run(ctx, nil, io.Discard, "network", "rm", network); err != nil && !docker.IsNotFound(err) {
		return false, fmt.Errorf("removing network %s: %w", network, err)
	}
	return true, nil
}
