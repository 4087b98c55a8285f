package watcher

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/dotenv"
	"github.com/kind-in-a-box/devbox/watcher/graph"
	"github.com/kind-in-a-box/devbox/watcher/notify"
)

// startList asks what a target is made from.
func (l *loop) startList(ctx context.Context, t *target) {
	if l.cfg.Once {
		return
	}
	if t.listAgain = t.listing; t.listing {
		return
	}
	t.listing = true
	list := l.listService
	if t.objects != nil {
		list = l.listManifests
	}
	l.do(ctx, func() func(context.Context) {
		graphs, err := list(ctx, t.Target)
		return func(ctx context.Context) { l.listed(ctx, t, graphs, err) }
	})
}

// listService are the graphs of a Service: one for each of its programs, the
// manifest being a part of the first.
func (l *loop) listService(ctx context.Context, t Target) ([]*graph.Graph, error) {
	var graphs []*graph.Graph
	for _, program := range t.programs() {
		dir, of := t.Dir, graph.Target{Key: t.programKey(program), Name: t.Name, Dir: t.Dir, ImportPath: program}
		if len(graphs) == 0 {
			of.Manifest, of.Variables = t.ManifestPath, dotenv.Path(t.Dir)
		}
		if program != t.ImportPath {
			p, err := findProgram(ctx, t.Dir, program)
			if err != nil {
				return nil, err
			}
			dir, of.Dir = buildDir(t.Dir, p), p.Dir
		}
		g, err := l.list(ctx, dir, of)
		if err != nil {
			return nil, err
		}
		graphs = append(graphs, g)
	}
	return graphs, nil
}

// list is the graph of one program, as it is built from dir.
func (l *loop) list(ctx context.Context, dir string, t graph.Target) (*graph.Graph, error) {
	flags, env, err := l.builder.ListFlags(dir, t.ImportPath)
	if err != nil {
		return nil, err
	}
	listing, err := graph.List(ctx, dir, t.ImportPath, flags, env)
	if err != nil {
		return nil, err
	}
	if t.KoConfig, err = build.ConfigFile(dir); err != nil {
		return nil, err
	}
	t.Data, _ = build.Data(t.Dir, l.workDir) // what is wrong with it the build says
	return graph.New(t, listing), nil
}

// listed watches what a target is made from now. Where that is not known,
// because go.mod cannot be read, say, it stays what it was; the build that
// runs beside it says what is wrong.
func (l *loop) listed(ctx context.Context, t *target, graphs []*graph.Graph, err error) {
	t.listing = false
	if t.listAgain {
		l.startList(ctx, t)
	}
	if err != nil {
		if len(t.graphs) > 0 {
			return
		}
		graphs = []*graph.Graph{graph.New(graph.Target{Key: t.programKey(t.ImportPath), Name: t.Name, Dir: t.Dir, ImportPath: t.ImportPath, Manifest: t.ManifestPath, Variables: dotenv.Path(t.Dir)}, graph.Listing{})}
	}
	first := len(t.graphs) == 0
	t.graphs = graphs
	if err := l.watch(); err != nil {
		l.fatal = err
		return
	}
	var files []string
	for _, g := range graphs {
		files = append(files, present(g)...)
	}
	missed := l.missed(files, t.began, first)
	l.contents.learn(files)
	l.edited(missed, time.Now())
}

// missed are the files of a target that may have been written after its build
// read them and before anybody watched them for it: all of them, if nobody
// ever did, else those that are new to us.
func (l *loop) missed(files []string, began time.Time, all bool) []edit {
	var edits []edit
	for _, file := range files {
		if !all && l.contents.knows(file) {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.ModTime().After(began) {
			edits = append(edits, edit{file: file})
		}
	}
	return edits
}

// watch watches what all targets are made from.
func (l *loop) watch() error {
	graphs := l.graphs()
	set := notify.Set{
		Relevant: func(file string) bool {
			return slices.ContainsFunc(graphs, func(g *graph.Graph) bool {
				_, ok := g.Concerns(file)
				return ok
			})
		},
		Enters: func(dir string) bool {
			return slices.ContainsFunc(graphs, func(g *graph.Graph) bool { return g.Enters(dir) })
		},
	}
	for _, g := range graphs {
		dirs, trees := g.Watch()
		set.Dirs, set.Trees = append(set.Dirs, dirs...), append(set.Trees, trees...)
	}
	if err := l.files.Watch(set); err != nil {
		return fmt.Errorf("watching the source: %w", err)
	}
	return nil
}

// present are the files in the folders of a graph that concern its target.
func present(g *graph.Graph) []string {
	files := g.Files()
	keep := func(file string) {
		if _, ok := g.Concerns(file); ok {
			files = append(files, file)
		}
	}
	dirs, trees := g.Watch()
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // it is not there, or not yet
		}
		for _, e := range entries {
			keep(filepath.Join(dir, e.Name()))
		}
	}
	for _, tree := range trees {
		_ = filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil: // a tree that is not there has no files
			case !d.IsDir():
				keep(path)
			case path != tree && !g.Enters(path):
				return fs.SkipDir
			}
			return nil
		})
	}
	return files
}
