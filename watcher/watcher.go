// Package watcher is the edit road: a saved file becomes a new revision that
// answers.
//
//	notify    which files changed, when they have settled
//	  |
//	contents  whether they really did
//	  |
//	graph     which services that concerns, and why
//	  |
//	build     the image ----------- does not compile: the last good goes on
//	  |
//	deploy    the revision -------- crashes: the last good goes on
//	  |
//	live in N ms
//
// What manifests in a directory say goes the same road beside it: manifest
// knows which objects there are and which programs their images name, a
// placing applies them in order and removes those that have left the files.
//
// Run is a loop in one goroutine: it alone knows the state, what it decides
// it decides with a reason, and the work is done by goroutines that report
// back to it. It says what happens as events and prints nothing.
package watcher

import (
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/push"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
	"github.com/kind-in-a-box/devbox/watcher/notify"
)

// Target is what a directory deploys: a service, which is a main package and
// how to run it, or the objects of the manifests in it. A directory may have
// both, which are two targets then.
type Target struct {
	Name         string
	Namespace    string             // of the service, or of objects that name none
	Dir          string             // the main package's folder, or the manifests', absolute
	ImportPath   string             // of a service
	ManifestPath string             // service.yaml in Dir, whether it is there or not
	Service      *servingv1.Service // nil where the target is manifests
	Image        v1.Image           // of Prebuilt; nil where it is built

	variables  map[string]string // of the .env in Dir
	set        *manifest.Set     // of Written; nil where the files are in Dir
	guest      *deploy.Guest     // of AsGuest
	copiedFrom string            // the program's image where the folder was copied from, which its manifest still names
}

// Config is what Run needs.
type Config struct {
	Targets  []Target
	Registry push.Registry
	Guest    *deploy.Guest // nil where the cluster is the box's own
	Archs    []string      // that nodes have; this machine's where none is said
	REST     *rest.Config
	Gateway  string // as in http://127.0.0.1:8080
	Domain   string
	Engine   string // of the box, as its words name it
	Once     bool   // return when every target is live or has failed, and watch nothing
	Events   event.Sink
	Debug    Debug
	Command  func(words string) string // how a person calls a command of devbox's on this box; may be nil

	Questions <-chan *Question // from whoever wants to know; may be nil
}

// Run builds and deploys the targets, and again whenever a file that concerns
// them changes, until ctx ends. What goes wrong with a target is an event and
// not an error, unless Once is set: then it is both, and the error wraps a
// *build.CompileError, a *build.ImageError, a *RefusedError, a *push.RefusedError,
// a *BoxError, a manifest.Problem or a *FailedError where that is the reason.
func Run(ctx context.Context, cfg Config) error {
	workDir, err := workDir()
	if err != nil {
		return err
	}
	deployer, err := deploy.New(deploy.Config{REST: cfg.REST, Gateway: cfg.Gateway, Domain: cfg.Domain, Command: cfg.Command, Guest: cfg.Guest})
	if err != nil {
		return err
	}
	options := build.Options{WorkDir: workDir, Again: !cfg.Once, Waits: func(sentence string) {
		cfg.Events.Emit(event.Event{Kind: event.Note, Message: sentence})
	}}
	if len(cfg.Archs) > 0 {
		options.Arch, options.Others = cfg.Archs[0], cfg.Archs[1:]
	}
	builder := build.New(options)
	defer builder.Close()
	l := newLoop(cfg, workDir, builder, deployer)
	if len(cfg.Debug.Listeners) > 0 {
		options.Delve = cfg.Debug.Delve
		l.debugger = build.New(options)
		defer l.debugger.Close()
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	group, ctx := errgroup.WithContext(ctx)
	if !cfg.Once {
		if l.files, err = notify.New(notify.Options{Held: l.held, Stirred: l.stir}); err != nil {
			return err
		}
		group.Go(func() error { return l.files.Run(ctx, l.batches) })
	}
	group.Go(func() error { return deployer.Run(ctx) })
	group.Go(func() error {
		defer cancel()
		return l.run(ctx)
	})
	return group.Wait()
}

// RefusedError says that the API server refuses what a service.yaml says.
type RefusedError struct {
	File   string // as the screen shows it
	Err    error
	Before bool // there is such a Service all the same, from before
}

func (e *RefusedError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

// BoxError says that the box does not do its part: it is not to be reached, or
// has no time.
type BoxError struct{ Err error }

func (e *BoxError) Error() string { return "the box: " + e.Err.Error() }
func (e *BoxError) Unwrap() error { return e.Err }

// LackError says that the embedded engine has no kind of objects that another may
// have.
type LackError struct{ Kind schema.GroupVersionKind }

func (e *LackError) Error() string {
	return fmt.Sprintf("the embedded engine has no kind %s of %s; a box of --engine kind may have it", e.Kind.Kind, e.Kind.GroupVersion())
}

// FailedError says that a revision came to nothing.
type FailedError struct {
	Service  string
	Revision string
	Reason   string
	Refused  bool  // it is an object that was not applied
	Lack     error // a *LackError, where the box has not what it takes
}

func (e *FailedError) Unwrap() error { return e.Lack }

func (e *FailedError) Error() string {
	name := e.Revision
	if name == "" {
		name = e.Service
	}
	return fmt.Sprintf("%s failed: %s", name, e.Reason)
}
