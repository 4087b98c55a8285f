package watcher

import (
	"context"
	"fmt"
	"net"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/delve"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/dotenv"
)

// Debug says what is debugged.
type Debug struct {
	Delve     string                  // a file with Delve, for Linux
	Listeners map[string]net.Listener // for debuggers, by the Key of a Target that is Debuggable
}

// Key tells targets apart.
func (t Target) Key() string { return t.key() }

// Debuggable says whether a target's requests are taken by a program that is
// built here.
func (t Target) Debuggable() bool {
	return t.Service != nil && t.Image == nil && t.debugged() != ""
}

// debugged is the import path of the program that a debugger looks into.
func (t Target) debugged() string { return deploy.ServingProgram(t.Service, t.ImportPath) }

// debugging is what the loop knows of a target that is debugged.
type debugging struct {
	door    *delve.Door
	command []string // of the program's image
}

// openDoors lets debuggers in, until ctx ends.
func (l *loop) openDoors(ctx context.Context) {
	for _, t := range l.targets {
		listener := l.cfg.Debug.Listeners[t.key()]
		if listener == nil {
			continue
		}
		key := client.ObjectKey{Namespace: t.Namespace, Name: t.Name}
		pods := func(ctx context.Context) ([]corev1.Pod, <-chan struct{}, error) {
			return l.deployer.ServicePods(ctx, key)
		}
		t.debug = &debugging{door: delve.NewDoor(listener, l.cfg.REST, pods)}
		l.jobs.Go(func() { t.debug.door.Run(ctx) })
		l.events.Emit(event.Event{
			Kind: event.Debugging, Service: t.Name, URL: t.debug.door.Address(),
			Message: fmt.Sprintf("is debugged at %[1]s: `dlv connect %[1]s`, or an editor that `devbox init --debug` has set up", t.debug.door.Address()),
		})
	}
}

// builderOf builds one of a target's programs.
func (l *loop) builderOf(t *target) func(importPath string) *build.Builder {
	debugged := ""
	if t.debug != nil {
		debugged = t.debugged()
	}
	return func(importPath string) *build.Builder {
		if importPath == debugged {
			return l.debugger
		}
		return l.builder
	}
}

// learnCommand notes how the program of a debugged target is run, of what was
// built.
func (t *target) learnCommand(built map[string]v1.Image) error {
	if t.debug == nil || built[t.debugged()] == nil {
		return nil
	}
	config, err := built[t.debugged()].ConfigFile()
	if err != nil {
		return &build.ImageError{Target: t.debugged(), Err: err}
	}
	t.debug.command = config.Config.Entrypoint
	return nil
}

// template makes the Service to apply with some images: the target's own with the
// variables of its .env, or one with its program under Delve besides.
func (l *loop) template(t *target) func(context.Context, map[string]string) (*servingv1.Service, error) {
	s, _ := dotenv.Into(t.Service, t.variables)
	if t.debug == nil {
		return func(context.Context, map[string]string) (*servingv1.Service, error) { return s, nil }
	}
	key, program, command := t.key(), t.debugged(), t.debug.command
	return func(ctx context.Context, images map[string]string) (*servingv1.Service, error) {
		most, err := l.deployer.MaxTimeout(ctx)
		if err != nil {
			return nil, err
		}
		return delve.Template(s, delve.Program{
			Delve: build.DelvePath, Command: command, Port: delve.Port(key, images[program]), Timeout: most,
		}), nil
	}
}
