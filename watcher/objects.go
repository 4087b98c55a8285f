package watcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher/graph"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// objects is what the loop knows of a directory of manifests.
type objects struct {
	set     manifest.Set // as last read
	print   string       // of the set, by which another is known from it
	told    map[string]bool
	images  map[string]string // in the registry, by program
	unbuilt map[string]error  // programs whose newest source gave no image
	placed  map[manifest.Key]*placed
	round   *round        // the work that is not at its end
	swept   bool          // what earlier sessions left was looked for
	applied chan struct{} // closed when all were applied once
}

func newObjects() *objects {
	return &objects{
		told: map[string]bool{}, images: map[string]string{}, unbuilt: map[string]error{},
		placed: map[manifest.Key]*placed{}, applied: make(chan struct{}),
	}
}

// readObjects are the objects of a directory, but for the Service that is a
// target of its own, whose mistakes that one tells.
func (t Target) readObjects() (*manifest.Set, error) {
	if t.set != nil {
		return t.set, nil
	}
	set, err := manifest.Read(t.Dir)
	if err != nil || t.ManifestPath == "" {
		return set, err
	}
	set.Objects = slices.DeleteFunc(set.Objects, func(o manifest.Object) bool {
		return o.File == t.ManifestPath && manifest.IsService(&o)
	})
	set.Problems = slices.DeleteFunc(set.Problems, func(p manifest.Problem) bool { return p.File == t.ManifestPath })
	set.LeftOut = slices.DeleteFunc(set.LeftOut, func(o manifest.LeftOut) bool { return o.File == t.ManifestPath })
	return set, nil
}

// beside is closed when the manifests beside a service were applied once.
func (l *loop) beside(t *target) <-chan struct{} {
	for _, other := range l.targets {
		if other.objects != nil && sameDir(other.Dir, t.Dir) {
			return other.objects.applied
		}
	}
	none := make(chan struct{})
	close(none)
	return none
}

// manifestsEdited makes a request of what was saved: the programs that it
// concerns, and the objects if a manifest is among it.
func (l *loop) manifestsEdited(c *concern, edits map[string]edit, since time.Time) {
	t := c.target
	if l.left(t) {
		return
	}
	r, reread := &request{since: since}, false
	for _, reason := range c.reasons {
		e := edits[reason.File]
		r.files = append(r.files, l.place(e))
		if reason.Kind == graph.Manifest {
			reread, r.list = true, r.list || e.new || e.relinked
			continue
		}
		r.list = r.list || lists(reason, e)
	}
	named := t.objects.programs()
	r.programs = slices.DeleteFunc(c.programs, func(p string) bool { return !slices.Contains(named, p) })
	if reread && l.reread(t) {
		fresh := t.objects.missing()
		r.programs, r.list = union(r.programs, fresh), r.list || len(fresh) > 0
	} else if len(r.programs) == 0 {
		return
	}
	r.build = len(r.programs) > 0
	l.events.Emit(event.Event{Kind: event.Changed, Service: t.Name, Files: r.files, Message: c.reasons[0].Words})
	t.pending = t.pending.add(r)
}

// left says whether the directory is gone. Its objects stay: a directory goes
// for a moment when a branch is checked out, and a database is not to go with it.
func (l *loop) left(t *target) bool {
	before := t.gone
	_, err := os.Stat(t.Dir)
	if t.gone = errors.Is(err, os.ErrNotExist); t.gone && !before && len(t.objects.placed) > 0 {
		l.warn(t, fmt.Errorf("%s is not there any more: what was applied from it stays", relative(l.workDir, t.Dir)),
			"delete the objects with kubectl if they are not to stay")
	}
	return t.gone
}

// reread reads the manifests and says whether they say something else now.
// What is wrong with them is told; the objects before it stay in force.
func (l *loop) reread(t *target) bool {
	set, err := t.readObjects()
	if err != nil {
		l.warn(t, err, "")
		return false
	}
	print := fingerprint(set)
	if print == t.objects.print {
		return false
	}
	t.objects.set, t.objects.print = *set, print
	for _, p := range set.Problems {
		p.File = relative(l.workDir, p.File)
		l.warn(t, p, "what was applied before stays in force until this is mended")
	}
	var left []string
	for _, o := range set.LeftOut {
		line := fmt.Sprintf("%s: %s", relative(l.workDir, o.File), o.Why)
		if !t.objects.told[line] {
			t.objects.told[line] = true
			left = append(left, line)
		}
	}
	if len(left) > 0 {
		l.events.Emit(event.Event{Kind: event.Note, Service: t.Name, Message: "not applied: " + strings.Join(left, "\n")})
	}
	return true
}

// fingerprint sums up all that a set says.
func fingerprint(s *manifest.Set) string {
	h := sha256.New()
	for _, o := range s.Objects {
		// Where it is written is a part: it is in what is said of a mistake.
		_ = json.NewEncoder(h).Encode([]any{o.File, o.Line, o.Object})
	}
	fmt.Fprint(h, s.Problems, s.LeftOut)
	return hex.EncodeToString(h.Sum(nil))
}

// programs are the import paths that the objects' images name.
func (o *objects) programs() []string {
	var programs []string
	for _, object := range o.set.Objects {
		programs = union(programs, object.Programs())
	}
	return programs
}

// missing are the programs that have no image yet.
func (o *objects) missing() []string {
	return slices.DeleteFunc(o.programs(), func(p string) bool {
		return o.images[p] != ""
	})
}

// listManifests are the graphs of a directory of manifests: its own, and one
// for each program. A program that cannot be listed has one of its folder
// where that is known; the build says what is wrong.
func (l *loop) listManifests(ctx context.Context, t Target) ([]*graph.Graph, error) {
	set, err := t.readObjects()
	if err != nil {
		return nil, err
	}
	graphs := []*graph.Graph{graph.OfManifests(graph.Target{Key: t.key(), Name: t.Name, Dir: t.Dir}, linked(t.Dir), manifest.Named)}
	o := objects{set: *set}
	for _, program := range o.programs() {
		p, err := findProgram(ctx, t.Dir, program)
		if err != nil {
			continue
		}
		of := graph.Target{Key: t.programKey(program), Name: t.Name, Dir: p.Dir, ImportPath: program}
		g, err := l.list(ctx, buildDir(t.Dir, p), of)
		if err != nil {
			g = graph.New(of, graph.Listing{})
		}
		graphs = append(graphs, g)
	}
	return graphs, nil
}

// linked are the files elsewhere that links in a directory of manifests lead
// to: they are saved where they lie.
func linked(dir string) []string {
	files, err := manifest.Files(dir)
	if err != nil {
		return nil
	}
	var elsewhere []string
	for _, file := range files {
		if real, err := filepath.EvalSymlinks(file); err == nil && real != file {
			elsewhere = append(elsewhere, real)
		}
	}
	return elsewhere
}

// sameDir says whether two paths are one folder.
func sameDir(a, b string) bool {
	one, errA := os.Stat(a)
	other, errB := os.Stat(b)
	return a == b || errA == nil && errB == nil && os.SameFile(one, other)
}
