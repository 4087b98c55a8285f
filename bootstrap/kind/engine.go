// Package kind is the engine for a machine with Docker: a box is a kind cluster
// of one node with Istio and the serving stack in it.
//
//	cluster ----+--> istio --+--> serving, observability --> mesh
//	platform ---|--> images -/      |
//	     \------+-------------------/
//
// up.go is the list of its steps, which run side by side; survey.go what is
// looked at before; down.go how a box goes. Package cluster is the way to kind
// and to the node.
package kind

import (
	"context"
	"errors"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/docker"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
)

// Engine runs boxes as kind clusters.
type Engine struct{}

// Name is "kind".
func (Engine) Name() string { return "kind" }

// Ready says why Docker does not answer.
func (Engine) Ready(ctx context.Context) error {
	if _, err := docker.GetInfo(ctx); err != nil {
		return errors.New(whyNot(err))
	}
	return nil
}

// Released are the images of a box where the container registries are in reach.
func Released() images.Set { return images.Released(cluster.DefaultImage) }

// spec is what the box asks of its cluster.
func spec(box *bootstrap.Box) cluster.Spec {
	return cluster.Spec{
		Image:        box.Images.Ref(images.Node),
		HTTPPort:     box.HTTPPort,
		RegistryPort: box.RegistryPort,
		APIPort:      box.APIPort,
		BuiltinCNI:   box.Images.BuiltinCNI,
	}
}
