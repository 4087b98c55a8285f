// Package context is the engine for a cluster that is there already: a box is
// one namespace of it, and in that what has the box's label. The cluster is the
// user's, or his team's, so before anything is written all is asked that can be.
//
//	kubeconfig's context --> does it answer, is serving in it, what may I, is a
//	                         name taken, does the registry take images, which
//	                         nodes has it, which way in
//	box                  --> its record, and a kubeconfig with that context alone
//
// cluster.go asks the API server, rights.go who may do what, gateway.go for the
// way in; down.go removes what has the label.
package context

import (
	"context"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// Engine runs boxes in clusters that are there.
type Engine struct{}

// Name is "context", as kubectl calls the way to a cluster.
func (Engine) Name() string { return "context" }

// Ready says that nobody's cluster is taken unasked.
func (Engine) Ready(context.Context) error { return errAsked }

// Survey looks at the cluster, and changes nothing.
func (Engine) Survey(ctx context.Context, found *bootstrap.Survey) []bootstrap.Step {
	s := &survey{Survey: found}
	s.look(ctx)
	if len(s.Failed()) > 0 {
		return nil
	}
	return (&up{survey: s}).steps()
}

// Enter leads to the cluster's API server.
func (Engine) Enter(box *bootstrap.Box) bootstrap.Entrance { return entrance{box} }
