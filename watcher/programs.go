package watcher

import (
	"context"
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/graph"
)

// findProgram asks the go command for the main package that an image names.
func findProgram(ctx context.Context, dir, importPath string) (graph.Package, error) {
	packages, err := graph.Find(ctx, dir, importPath)
	switch {
	case err != nil:
		return graph.Package{}, fmt.Errorf("ko://%s: %w", importPath, err)
	case len(packages) != 1:
		return graph.Package{}, fmt.Errorf("ko://%s names %d packages: name one", importPath, len(packages))
	}
	switch p := packages[0]; {
	case p.Name == "main":
		return p, nil
	case p.Name == "" && p.Error != nil:
		return p, fmt.Errorf("ko://%s: %s", importPath, p.Error.Err)
	default:
		return p, fmt.Errorf("ko://%s is no main package but package %s", importPath, p.Name)
	}
}

// buildDir is where a program is built from: its own folder, for the .ko.yaml
// that may be there, or, where it is of a module that is only required, the
// folder whose module requires it.
func buildDir(dir string, p graph.Package) string {
	if p.Module != nil && p.Module.Main {
		return p.Dir
	}
	return dir
}

// outcome is what came of building a program.
type outcome struct {
	image v1.Image
	err   error
}

// startPrograms builds the programs that are asked for, one after the other:
// the compiler uses all processors by itself.
func (l *loop) startPrograms(ctx context.Context, t *target, buildCtx context.Context) {
	dir, wanted, done := t.Dir, t.work.programs, t.cancel
	l.do(ctx, func() func(context.Context) {
		defer done()
		built := map[string]outcome{}
		for _, importPath := range wanted {
			image, err := buildProgram(buildCtx, l.builder, dir, importPath)
			built[importPath] = outcome{image, err}
		}
		return func(ctx context.Context) { l.programsBuilt(ctx, t, built) }
	})
}

func buildProgram(ctx context.Context, b *build.Builder, dir, importPath string) (v1.Image, error) {
	p, err := findProgram(ctx, dir, importPath)
	if err != nil {
		return nil, err
	}
	return b.Build(ctx, buildDir(dir, p), importPath)
}

// programsBuilt takes the end of a build, as built does. What has an image
// goes on, whatever became of the others.
func (l *loop) programsBuilt(ctx context.Context, t *target, built map[string]outcome) {
	t.stage, t.built = idle, time.Now()
	l.building--
	if t.pending != nil && t.pending.build {
		t.pending = t.work.add(t.pending)
		return
	}
	if t.pending != nil {
		t.work, t.pending = t.work.add(t.pending), nil
	}
	images := map[string]v1.Image{}
	for importPath, p := range built {
		delete(t.objects.unbuilt, importPath)
		if p.err == nil {
			images[importPath] = p.image
			continue
		}
		t.objects.unbuilt[importPath] = p.err
		l.programFailed(t, p.err)
	}
	l.startPlacing(ctx, t, images)
}

func (l *loop) programFailed(t *target, err error) {
	words, ok := ofSource(err)
	if !ok {
		l.warn(t, err, l.ofASave("the next save tries again"))
		return
	}
	l.events.Emit(event.Event{
		Kind: event.BuildFailed, Service: t.Name, Error: words, Files: t.work.files, Duration: t.built.Sub(t.began),
		Hint: "what runs of it goes on running",
	})
}
