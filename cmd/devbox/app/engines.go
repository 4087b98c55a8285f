package app

import (
	"github.com/kind-in-a-box/devbox/bootstrap"
	guest "github.com/kind-in-a-box/devbox/bootstrap/context"
	"github.com/kind-in-a-box/devbox/bootstrap/embedded"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/bootstrap/kind"
)

// engines are those of devbox, the one to be taken first where it is ready.
// This file is the only one that names them.
func engines() bootstrap.Engines {
	return bootstrap.Engines{kind.Engine{}, embedded.Engine{}, guest.Engine{}}
}

// guestEngine is the engine that takes what is said of a bootstrap.Guest.
func guestEngine() string { return guest.Engine{}.Name() }

// releasedImages are what a kind box takes from the container registries.
func releasedImages() images.Set { return kind.Released() }
