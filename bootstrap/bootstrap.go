// Package bootstrap brings a box up and takes it down. A box is made so that a
// service runs on a developer's machine as it would in production. What runs it
// is an Engine, each of which has a folder of its own here: kind, a cluster in a
// container, and embedded, a process.
//
//	Engines.Up    look ──> Engine.Survey ──> findings, and the list of steps ──> Box
//	Engines.Down           Engine.Down
//	Engines.Load           Engine.Enter ──> Entrance, the way into a Box
//
// What every engine needs is here: the record of a box, who works on it, its
// ports, what this machine has, and the runner of steps. Nothing here knows an
// engine by name.
//
// What is known of a box lies in a folder of the user's configuration
// directory: box.json, and a kubeconfig that no other tool's is mixed with.
package bootstrap

import (
	"context"
	"errors"
	"fmt"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// Defaults of a Config, and where a box's registry is if nobody is there.
const (
	DefaultName  = "devbox"
	DefaultPort  = 8080
	registryPort = 5001
)

// Config says what box is wanted.
type Config struct {
	Name      string // a DNS label; "" is DefaultName
	Engine    string // its name, or Auto or "", which choose it
	ImagesDir string // an OCI layout with the box's images; "" is the container registries
	Port      int    // port of 127.0.0.1 for the gateway; 0 is DefaultPort
	PortFixed bool   // fail where Port is taken, instead of taking the next free one

	// With and Without are what the box is to have beyond what every box has,
	// and no longer: Observability. What neither names stays as it is.
	With, Without []string

	// Mesh says whether services' pods are to be in Istio's mesh; nil is as it
	// was. Namespaces are those that will have services, beside those that have.
	Mesh       *bool
	Namespaces []string

	// Guest is what is asked of a box in a cluster that is there already; only the
	// engine for that looks at it. Services are those that will be, by the names
	// that their files give them.
	Guest    Guest
	Services []string

	// Platform builds the images of the serving stack on this machine, while
	// the cluster starts. Nil makes a box with Istio and no serving stack.
	Platform func(context.Context) (Platform, error)

	// Process makes ready what runs a box that is a process of this machine's,
	// and returns the program and its arguments. say is told how far it is.
	Process func(ctx context.Context, say func(string)) ([]string, error)

	Events event.Sink // told of every step; may be nil
}

// Platform is the images of the serving stack.
type Platform struct{ Serving, Queue v1.Image }

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Port == 0 {
		c.Port = DefaultPort
	}
	if c.Engine == "" {
		c.Engine = Auto
	}
	return c
}

// PrerequisiteError says that this machine lacks something that a box needs.
// Nothing was created.
type PrerequisiteError struct{ Findings []Finding }

func (e *PrerequisiteError) Error() string {
	said := make([]string, len(e.Findings))
	for i, f := range e.Findings {
		said[i] = f.Message
		if f.Hint != "" {
			said[i] += " (" + f.Hint + ")"
		}
	}
	return strings.Join(said, "; ")
}

// ClusterError says that a step could not bring the cluster, or what runs in
// it, to where it should be.
type ClusterError struct {
	Step string
	Err  error
	Hint string
}

func (e *ClusterError) Error() string { return fmt.Sprintf("%s: %v", e.Step, e.Err) }
func (e *ClusterError) Unwrap() error { return e.Err }

// ErrNoBox says that there is no box of that name.
var ErrNoBox = errors.New("there is no such box")

// BusyError says that another process is at work on the box.
type BusyError struct {
	Name    string
	PID     string   // the other process; "" where it did not say
	Session bool     // it is a Session, which goes on until somebody ends it
	Serves  []string // what the Session serves: directories
}

func (e *BusyError) Error() string {
	who := "another devbox"
	if e.PID != "" {
		who += " (process " + e.PID + ")"
	}
	if e.Session {
		what := fmt.Sprintf("%s watches box %q", who, e.Name)
		if len(e.Serves) > 0 {
			what += " and serves " + strings.Join(e.Serves, ", ")
		}
		return what
	}
	return fmt.Sprintf("%s is working on box %q; wait for it or end it", who, e.Name)
}
