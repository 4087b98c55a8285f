package watcher

import (
	"context"
	"slices"
	"time"

	"github.com/kind-in-a-box/devbox/watcher/graph"
)

// stage is what is being done for a target.
type stage int

const (
	idle     stage = iota // nothing, though its last revision may be followed
	building              // ko builds; a newer edit cancels it
	shipping              // the image is pushed and applied; nothing cancels it
)

// request is what was saved and not yet built.
type request struct {
	since    time.Time // when the newest of it was noticed
	files    []string  // as the screen shows them
	build    bool      // there is something to compile; else the manifest alone changed
	programs []string  // the import paths to compile
	list     bool      // what the target is made from may have changed
	first    bool      // it is not an edit: the target has yet to be built once
}

// add makes one request of two, the later one with what the earlier asked for.
func (r *request) add(later *request) *request {
	if r == nil {
		return later
	}
	sum := *later
	sum.files = union(later.files, r.files)
	sum.programs = union(later.programs, r.programs)
	sum.build = r.build || later.build
	sum.list = r.list || later.list
	sum.first = r.first
	return &sum
}

// union is a list with what another has besides.
func union(a, b []string) []string {
	a = slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a, s)
		}
	}
	return a
}

// target is a Target and what the loop knows of it.
type target struct {
	Target
	// graphs say what it is made from: one for each program and, for a
	// directory of manifests, one for the directory. Empty until it is listed
	// for the first time.
	graphs  []*graph.Graph
	objects *objects   // of a directory of manifests; nil for a Service
	debug   *debugging // nil where it is not debugged

	stage    stage
	pending  *request           // waits to be built
	work     *request           // is being built or shipped
	began    time.Time          // when the last build began
	built    time.Time          // when it ended
	pushed   time.Time          // when its image was in the registry
	cancel   context.CancelFunc // of the build
	foreseen context.CancelFunc // of what was begun before it was asked for
	images   map[string]string  // of a Service's programs, in the registry
	owed     []string           // programs that a build which failed was to make

	listing   bool // the go command is asked what it is made from
	listAgain bool
	follow    *follow // its newest revision
	gone      bool    // its source is not there
	outcome   error   // of the first build or revision that came to an end
	settled   bool    // there was such an end
	slow      bool    // that it takes long was told

	saidOfVariables string // of its .env

	// Why what was last saved is not live, before there is a revision of it: the
	// manifest cannot be read, the source not be built, the box does not take it.
	unread, unbuilt, unshipped error
}

// missing are the programs of a Service that have no image yet.
func (t *target) missing() []string {
	return slices.DeleteFunc(t.programs(), func(p string) bool { return t.images[p] != "" })
}

// image is that of the directory's own program, or of the first there is.
func (t *target) image() string {
	for _, p := range append([]string{t.ImportPath}, t.programs()...) {
		if t.images[p] != "" {
			return t.images[p]
		}
	}
	return ""
}

// follow is one revision on its way to be live.
type follow struct {
	cancel   context.CancelFunc
	work     *request
	phases   times
	image    string
	revision string
	ended    bool // it is live or has failed
	heard    Follower
}

// times are when the steps of an edit ended.
type times struct{ began, built, pushed time.Time }

// action is what the loop does for a target next.
type action string

const (
	nothing action = "nothing"
	hold    action = "hold"    // there is something to do, and it is not the time
	restart action = "restart" // cancel the build, which is of older files
	start   action = "build"
	ship    action = "ship" // apply the manifest with the image there is
)

// decide says what is next for a target, and why.
//
//	           nothing pending   to build                 manifest alone
//	idle       nothing           build, if a slot is free ship, if there is an image; else as to build
//	building   nothing           restart                  hold: shipped with what is built
//	shipping   nothing           hold                     hold
func (t *target) decide(slotFree bool) (action, string) {
	switch p := t.pending; {
	case p == nil:
		return nothing, "nothing has changed"
	case t.gone:
		return hold, "its source is not there"
	case t.stage == shipping:
		return hold, "the image before it is on its way"
	case t.stage == building && p.build:
		return restart, "there is a newer edit"
	case t.stage == building:
		return hold, "the manifest goes with what is being built"
	case !p.build && (t.objects != nil || len(t.missing()) == 0):
		return ship, "the manifest alone has changed"
	case !slotFree:
		return hold, "other services are being built"
	default:
		return start, "files have changed"
	}
}
