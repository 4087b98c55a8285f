package app

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/idle"
	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/internal/tally"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

func (d *devbox) upCommand() *cobra.Command {
	options := newBoxOptions()
	detach, dry, image, debug := false, false, "", debugged{}
	cmd := d.reports(&cobra.Command{
		Use:   "up [directory...]",
		Short: "Bring the box up, serve what is in the directories, and watch it",
		Long: `Bring the box up, build the main packages in the directories, serve them, and
make every saved file a new revision, until Ctrl-C. The box goes on running then;
` + "`devbox up`" + ` again finds it, and ` + "`devbox down`" + ` removes it.

Where Docker answers, and a kind box's images can be had, the box is a kind
cluster with Istio. Elsewhere it is a process of devbox's own: a real Kubernetes
API server, with pods as processes of this machine. --engine chooses one.

A directory holds a main package and, where the default Service will not do, a
service.yaml, which names the package as ko://import/path. ./... stands for all
main packages below here that have a service.yaml, in all modules that go.work
uses or, without one, that lie there, and so does no directory.

Other Kubernetes manifests in the directory (*.yaml, *.yml, *.json) are applied too,
also where there is no main package: with images that are ko://import/path built,
followed until they are rolled out, again on each save, and removed when they leave
the files. Only what devbox made is ever removed.

A .env beside the main package gives the service variables that its manifest does
not have; they go into no image, and no release.

--image takes a service that is built already, in the place of directories: an
image in a registry, an OCI layout or an archive of docker save. It needs no Go and
watches nothing.

--with observability adds Prometheus, Zipkin and Grafana to the box, also to one
that runs, and --without observability takes them away. The box remembers.

--mesh gives the pods of services on a kind box sidecars of Istio's, and lets
nothing but mutual TLS through; --mesh=false takes them away. Both can be done
while the box is in use, and the box remembers.

--debug hello runs the service under Delve, the debugger, at 127.0.0.1:2345, and
compiles it so that one sees every line and variable; two services have two ports.
What stands at a breakpoint is not ended, scaled or timed out, for as long as a
request may take (timeoutSeconds); each save is debugged at the same address, to
which debuggers connect again. ` + "`devbox init --debug`" + ` sets up an editor.

--context team --registry ghcr.io/alice deploys to a cluster that is there already,
with Knative Serving in it: to one namespace, and there to nothing that is not the
box's own, which is all that ` + "`devbox down`" + ` removes. Your rights, the registry and
the names are looked at before anything is written; --namespace, --user, --gateway
and --pull-secret say more, --install puts the serving stack there, and --dry-run
lists what would be done. docs/context.md has the whole of it.

A second Ctrl-C does not wait for what is being stopped.`,
		Example: `  devbox up ./examples/hello
  devbox up ./...
  devbox up ./examples/istio-only
  devbox up --images ./images --detach ./examples/hello
  devbox up --image registry.example.com/team/hello:v3
  devbox up --with observability ./examples/hello
  devbox up --mesh ./examples/hello
  devbox up --debug hello ./examples/hello
  devbox up --context team --registry ghcr.io/alice --user alice ./examples/hello
  devbox up -o json ./examples/hello | jq -r 'select(.kind == "revision.live") | .revision'`,
		RunE: func(cmd *cobra.Command, dirs []string) (err error) {
			if err := options.check(d.name, cmd.Flags()); err != nil {
				return ofInput(err)
			}
			switch {
			case image != "" && len(dirs) > 0:
				return ofInput(fmt.Errorf("--image takes the place of directories, but got %s too", dirs[0]))
			case len(debug) > 0 && image != "":
				return ofInput(errors.New("--debug is for what is built here, and --image is built already"))
			case len(debug) > 0 && detach:
				return ofInput(errors.New("--debug leads debuggers to the service for as long as `devbox up` runs, and --detach ends it"))
			}
			find := func(ctx context.Context) (targets []watcher.Target, leftOut []string, err error) {
				if targets, leftOut, err = watcher.Discover(ctx, dirs); err == nil {
					targets, err = watcher.WithVariables(targets)
				}
				return targets, leftOut, err
			}
			if image != "" {
				find = func(ctx context.Context) ([]watcher.Target, []string, error) {
					targets, err := prebuilt(ctx, image)
					return targets, nil, err
				}
			}
			if dry {
				return d.plan(cmd.Context(), options.config(d.name, cmd.Flags()), find)
			}
			reader := d.reader()
			defer reader.Close()
			kept, err := d.recorder()
			if err != nil {
				return err
			}
			defer kept.Close()
			config := options.config(d.name, cmd.Flags())
			config.Platform, config.Process, config.Events = buildPlatform, d.boxProcess, both(reader.Show, kept.Show)
			return d.ending(d.up(cmd.Context(), config, find, detach || image != "", debug), reader.Show)
		},
	}, "text, or json for one event a line")
	options.add(cmd)
	cmd.Flags().BoolVar(&detach, "detach", false, "return when the services are live, and do not watch")
	envName(cmd.Flags(), "detach")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "list what would be done to a cluster that is there already, and do nothing")
	cmd.Flags().Var(&debug, "debug", "run these services under Delve, on ports of 127.0.0.1 from 2345 on, or on this one and no other")
	cmd.Flags().StringVar(&image, "image", "", "serve this image, which is built already, in the place of directories")
	return cmd
}

// finder finds what is to be served, and says for people what it leaves out.
type finder func(context.Context) (targets []watcher.Target, leftOut []string, err error)

// up is the main job. It finds the services first, because a wrong directory
// should not cost anybody the start of a cluster, then brings the box up,
// then goes into the loop.
func (d *devbox) up(ctx context.Context, config bootstrap.Config, find finder, detach bool, wanted debugged) error {
	targets, leftOut, err := find(ctx)
	if err != nil {
		return ofInput(err)
	}
	end, err := bootstrap.Session(d.name, directories(targets)...)
	if err != nil {
		return d.beside(err, targets)
	}
	defer end()
	questions, deaf := d.takeQuestions(ctx, config.Events)
	defer deaf()
	for _, left := range leftOut {
		config.Events.Emit(event.Event{Kind: event.Note, Message: left})
	}
	debug, err := d.debugging(ctx, wanted, targets, config.Events)
	if err != nil {
		return err
	}
	defer closeAll(debug.Listeners)
	counted := tally.New()
	config.Events = both(config.Events, counted.Take)
	want(&config, targets)
	box, err := engines().Up(ctx, config)
	if err != nil {
		return classify(codeCluster, d.cut(ctx, err), d.command("doctor"))
	}
	rest, err := box.RESTConfig()
	if err != nil {
		return classify(codeCluster, err, d.command("up"))
	}
	guest := guestOf(box)
	if archs := archsOf(box); len(archs) > 0 && len(wanted) > 0 && !slices.Equal(archs, []string{runtime.GOARCH}) {
		return ofInput(fmt.Errorf("--debug: Delve is made for this machine's architecture alone, and the cluster's nodes are %s", strings.Join(archs, ", ")))
	}
	if guest != nil {
		if targets, err = watcher.AsGuest(targets, guest, archsOf(box)); err != nil {
			return ofInput(err)
		}
	}
	opened, shut := context.WithCancel(ctx)
	defer shut()
	if err := box.Open(opened); err != nil {
		return classify(codeCluster, err, d.command("up"))
	}
	idle.Settle()
	watched, stop := box.Watch(ctx)
	defer stop()
	defer tellLoop(watched, box, counted)()
	err = watcher.Run(watched, watcher.Config{
		Targets:  targets,
		Registry: registryOf(box),
		Guest:    guest,
		Archs:    archsOf(box),
		REST:     rest,
		Gateway:  box.Gateway(),
		Domain:   box.Domain,
		Engine:   box.Engine,
		Once:     detach,
		Events:   config.Events,
		Debug:    debug,
		Command:  d.command,

		Questions: questions,
	})
	if interrupted(ctx) && !detach {
		config.Events.Emit(event.Event{Kind: event.Note, Message: "the box goes on running; `" + d.command("down") + "` removes it"})
		return nil
	}
	if lost, ok := errors.AsType[*bootstrap.ClusterError](context.Cause(watched)); ok {
		return classify(codeCluster, lost, d.command("up"))
	}
	return d.ofService(d.cut(ctx, err))
}

// directories are those of targets, each once.
func directories(targets []watcher.Target) []string {
	var dirs []string
	for _, t := range targets {
		if t.Dir != "" && !slices.Contains(dirs, t.Dir) { // an image has none
			dirs = append(dirs, t.Dir)
		}
	}
	return dirs
}

// beside says how to go on where another session has the box: both in one, or
// in a box of another name.
func (d *devbox) beside(err error, targets []watcher.Target) error {
	busy, ok := errors.AsType[*bootstrap.BusyError](err)
	if !ok || !busy.Session {
		return classify(codeFailure, err, "")
	}
	here := directories(targets)
	all := slices.Clone(busy.Serves)
	for _, dir := range here {
		if !slices.Contains(all, dir) {
			all = append(all, dir)
		}
	}
	next := "end that with Ctrl-C, which leaves the box running, then `" + d.command("up") + " " + strings.Join(all, " ") + "`"
	if len(all) > len(busy.Serves) {
		next += " for both; or `devbox up --name other " + strings.Join(here, " ") + "` beside it"
	}
	return &problem{code: codeFailure, cause: err, next: next}
}

// ofService puts the end of a loop that watches nothing into its class. The
// worst reason decides. What is wrong with which service is on the screen
// already, as an event, so here is only how many, and what to do.
func (d *devbox) ofService(err error) error {
	const mend = "mend it, then the same command again"
	p := &problem{}
	switch {
	case is[*build.CompileError](err), is[*build.ImageError](err):
		p.code, p.next = codeBuild, mend
	case is[*watcher.LackError](err):
		p.code, p.next = codeRollout, "a box that may have it, by `devbox up --engine kind --name NAME`; or, for a database, that of this machine: docs/manifests.md"
	case is[*watcher.FailedError](err):
		p.code, p.next = codeRollout, d.command("logs")
		if failed, _ := errors.AsType[*watcher.FailedError](err); failed.Refused { // and has no log
			p.next = mend
		}
	case wrongFile(err):
		p.code, p.next = codeUsage, mend
	case is[*push.RefusedError](err):
		p.code, p.next = codePrerequisite, mend
	case is[*watcher.BoxError](err):
		p.code, p.next = codeCluster, d.command("status")
	default:
		return classify(codeFailure, err, "")
	}
	p.cause = errors.New("1 service or object is not live")
	if several, ok := err.(interface{ Unwrap() []error }); ok && len(several.Unwrap()) > 1 {
		p.cause = fmt.Errorf("%d services or objects are not live", len(several.Unwrap()))
	}
	return p
}

// wrongFile says whether an error is a mistake in a file beside the source.
func wrongFile(err error) bool {
	return is[*watcher.RefusedError](err) || is[manifest.Problem](err) || is[*build.ConfigError](err) || is[*build.DataError](err)
}

// is says whether an error is of a type, or wraps one.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// cut is err, or, where a person has cut short what makes a box, what to do about it.
func (d *devbox) cut(ctx context.Context, err error) error {
	return cutShort(ctx, err, d.command("up")+" goes on from here; "+d.command("down")+" removes what there is")
}

// cutShort is err, or, where a person has cut the work short, what to do next.
func cutShort(ctx context.Context, err error, next string) error {
	if err == nil || !interrupted(ctx) {
		return err
	}
	return &problem{code: codeInterrupted, cause: errInterrupted, next: next}
}

// ending tells a program that reads events what a person reads on stderr.
func (d *devbox) ending(err error, events event.Sink) error {
	if err != nil && d.output == jsonFormat {
		events.Emit(event.Event{Kind: event.StepFailed, Step: "up", Error: err.Error(), Hint: next(err)})
	}
	return err
}
