package standby

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
)

// The environment of whoever waits.
const (
	URLVariable   = "DEVBOX_STANDBY_URL"   // the controller's Desk
	TokenVariable = "DEVBOX_STANDBY_TOKEN" // proves which pod asks
	PodVariable   = "DEVBOX_STANDBY_POD"   // the pod's own name
)

// Roots are the directories that layers may write under: where ko puts a
// program and its data.
var Roots = []string{"/ko-app", "/var/run/ko"}

// Order says what a container becomes.
type Order struct {
	// Pod is the name of the pod that it is for.
	Pod string `json:"pod"`
	// Layers are what is to lie under Roots, each over those before it.
	Layers []Layer `json:"layers,omitempty"`
	// Env is added to the environment, over what has the same names.
	Env map[string]string `json:"env,omitempty"`
	// Args are the program that takes over and its arguments. Whoever is told of
	// none goes on as what it is.
	Args []string `json:"args,omitempty"`
	// Dir is where it starts.
	Dir string `json:"dir,omitempty"`
}

// Layer is a layer of an image in a registry: a tar archive, which may be
// compressed by gzip.
type Layer struct {
	URL    string `json:"url"`
	Digest string `json:"digest"` // sha256:<hex> of what the URL has
	Size   int64  `json:"size"`   // of the same, in bytes
}

// message is one line from a Desk. An empty one says that it is there.
type message struct {
	Prepare []Layer `json:"prepare,omitempty"` // bring these layers into place; the order may name them
	Order   *Order  `json:"order,omitempty"`
}

// errNoProgram is the error of an order to become nothing.
var errNoProgram = errors.New("the order names no program")

// Dress gives this process the order's environment in the place of what only
// one that waits needs.
func (o *Order) Dress() error {
	for _, name := range []string{URLVariable, TokenVariable, PodVariable} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Env)) {
		if err := os.Setenv(name, o.Env[name]); err != nil {
			return err
		}
	}
	return nil
}

// Become has the order's program take over this process. It returns only if
// that cannot be.
func (o *Order) Become() error {
	if len(o.Args) == 0 {
		return errNoProgram
	}
	if err := o.Dress(); err != nil {
		return err
	}
	if o.Dir != "" {
		if err := os.Chdir(o.Dir); err != nil {
			return err
		}
	}
	file := o.Args[0]
	if !strings.Contains(file, "/") {
		var err error
		if file, err = exec.LookPath(file); err != nil {
			return err
		}
	}
	return &os.PathError{Op: "exec", Path: file, Err: syscall.Exec(file, o.Args, os.Environ())}
}
