package watcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/dotenv"
	"github.com/kind-in-a-box/devbox/watcher/graph"
	"github.com/kind-in-a-box/devbox/watcher/notify"
)

// errNewer is why a build is cancelled.
var errNewer = errors.New("there is a newer edit")

// loop is the state of Run. Only its own goroutine touches it.
type loop struct {
	cfg      Config
	workDir  string
	builder  *build.Builder
	debugger *build.Builder // of what is debugged; nil where nothing is
	deployer *deploy.Deployer
	files    *notify.Watcher // nil if nothing is watched
	events   event.Sink

	targets  []*target
	sweep    sweep
	contents *contents
	slots    int // builds that may run at a time
	building int
	watching bool // the screen has been told so

	questions []*asked // that are not answered yet

	batches chan notify.Batch
	stirred chan []string              // files that may soon be in a batch
	news    chan func(context.Context) // what a goroutine reports, done in the loop's own
	jobs    sync.WaitGroup
	fatal   error
}

func newLoop(cfg Config, workDir string, b *build.Builder, d *deploy.Deployer) *loop {
	l := &loop{
		cfg: cfg, workDir: workDir, builder: b, deployer: d, events: cfg.Events,
		contents: newContents(),
		// The compiler uses all processors by itself; linking uses one.
		slots:   max(1, min(4, runtime.GOMAXPROCS(0))),
		batches: make(chan notify.Batch),
		stirred: make(chan []string, 1),
		news:    make(chan func(context.Context)),
	}
	now := time.Now()
	for _, t := range cfg.Targets {
		one := &target{Target: t, images: map[string]string{}, pending: &request{since: now, build: true, list: t.Image == nil, first: true}}
		if t.Service == nil {
			one.objects = newObjects()
			one.objects.swept = t.set != nil // what belongs to nobody is not looked for
		}
		l.targets = append(l.targets, one)
	}
	return l
}

// run is the loop: something happened, so decide for every target.
func (l *loop) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer l.jobs.Wait()
	defer cancel()
	l.openDoors(ctx)
	for _, t := range l.targets {
		l.tellVariables(t)
	}
	for {
		l.act(ctx)
		l.answer()
		if l.fatal != nil {
			return l.fatal
		}
		switch {
		case l.cfg.Once && l.all((*target).hasSettled):
			return l.outcome()
		case !l.cfg.Once && l.all((*target).toldOf):
			l.tellWatching()
		}
		select {
		case <-ctx.Done():
			if l.cfg.Once {
				return context.Cause(ctx)
			}
			return nil
		case files := <-l.stirred:
			l.foresee(ctx, files)
		case b := <-l.batches:
			l.changed(b)
		case report := <-l.news:
			report(ctx)
		case q := <-l.cfg.Questions:
			l.ask(q)
		}
	}
}

// act does for every target what is decided.
func (l *loop) act(ctx context.Context) {
	for _, t := range l.inTurn(ctx) {
		switch what, _ := t.decide(l.building < l.slots); what {
		case start:
			l.startBuild(ctx, t)
		case ship:
			t.work, t.pending = t.pending, nil
			t.began, t.built, t.pushed = time.Now(), time.Time{}, time.Time{}
			if t.work.list {
				l.startList(ctx, t)
			}
			l.startShip(ctx, t, nil)
		case restart:
			t.cancel()
		}
	}
}

// foresee has the programs begun that changed files are for, before it is known
// that the files have settled. There are no more of them at a time than builds.
func (l *loop) foresee(ctx context.Context, files []string) {
	left := l.slots
	concerned := l.concerned(files)
	if len(concerned) > left {
		concerned = inFront(concerned, func(c *concern) bool { return l.called(ctx, c.target) })
	}
	for _, c := range concerned {
		t := c.target
		if t.objects != nil || !slices.Contains(c.programs, t.ImportPath) || left == 0 {
			continue
		}
		left--
		if t.foreseen != nil {
			t.foreseen()
		}
		ctx, cancel := context.WithCancel(ctx)
		t.foreseen = cancel
		dir, importPath := t.Dir, t.ImportPath
		builder := l.builderOf(t)(importPath)
		l.jobs.Go(func() {
			defer cancel()
			builder.Foresee(ctx, dir, importPath)
		})
	}
}

// changed takes a batch: what really differs becomes requests.
func (l *loop) changed(b notify.Batch) {
	files := b.Files
	if b.Rescan {
		files = append(files, l.everything()...)
	}
	l.edited(l.contents.update(files), b.First)
}

// edited makes requests of edits.
func (l *loop) edited(edits []edit, since time.Time) {
	byFile := map[string]edit{}
	var files []string
	for _, e := range edits {
		byFile[e.file] = e
		files = append(files, e.file)
	}
	for _, c := range l.concerned(files) {
		t := c.target
		if t.objects != nil {
			l.manifestsEdited(c, byFile, since)
			continue
		}
		if t.gone = !hasSource(t.Dir); t.gone {
			l.events.Emit(event.Event{
				Kind: event.Warning, Service: t.Name,
				Message: fmt.Sprintf("%s holds no Go files any more: the last revision goes on serving", relative(l.workDir, t.Dir)),
				Hint:    "delete the service with kubectl if it is not to come back",
			})
			continue
		}
		r := &request{since: since, programs: c.programs}
		described := false
		for _, reason := range c.reasons {
			e := byFile[reason.File]
			r.files = append(r.files, l.place(e))
			described = described || reason.Kind == graph.Manifest
			r.list = r.list || lists(reason, e)
		}
		l.events.Emit(event.Event{Kind: event.Changed, Service: t.Name, Files: r.files, Message: c.reasons[0].Words})
		if described {
			if !l.reload(t) && len(r.programs) == 0 {
				continue
			}
			fresh := t.missing()
			r.programs, r.list = union(r.programs, fresh), r.list || len(fresh) > 0
		}
		r.build = len(r.programs) > 0
		t.pending = t.pending.add(r)
	}
}

// concern is what changed files mean for one target.
type concern struct {
	target   *target
	reasons  []graph.Reason // one for a file
	programs []string       // that are made from them
}

// concerned says what changed files mean, for each target once.
func (l *loop) concerned(files []string) []*concern {
	var all []*concern
	for _, effect := range graph.Affected(l.graphs(), files) {
		t, program := l.target(effect.Target)
		i := slices.IndexFunc(all, func(c *concern) bool { return c.target == t })
		if i < 0 {
			i, all = len(all), append(all, &concern{target: t})
		}
		c := all[i]
		for _, r := range effect.Reasons {
			if !slices.ContainsFunc(c.reasons, func(known graph.Reason) bool { return known.File == r.File }) {
				c.reasons = append(c.reasons, r)
			}
		}
		if program != "" && !effect.Only(graph.Manifest) {
			c.programs = union(c.programs, []string{program})
		}
	}
	return all
}

// lists says whether a program may be made from other files after an edit.
func lists(reason graph.Reason, e edit) bool {
	return reason.Kind == graph.Modules || reason.Kind == graph.Config || reason.Kind == graph.Source && e.reshaped || e.relinked
}

// reload reads a target's manifest and its .env again and says whether they are of
// use.
func (l *loop) reload(t *target) bool {
	s, err := t.readManifest()
	if err == nil && (s.Name != t.Name || s.Namespace != t.Namespace) {
		err = fmt.Errorf("%s now names the service %s in namespace %s: that takes another `devbox up`",
			relative(l.workDir, t.ManifestPath), s.Name, s.Namespace)
	}
	if err != nil {
		l.warn(t, err, "the manifest before it stays in force until this is mended")
		t.unread = &unreadError{err}
		return false
	}
	variables, err := t.readVariables()
	if err != nil {
		l.warn(t, err, "the variables before it stay in force until this is mended")
		t.unread = &unreadError{err}
		return false
	}
	t.Service, t.variables, t.unread = s, variables, nil
	l.tellVariables(t)
	return true
}

// tellVariables says, when it is another than before, what a target has of a .env:
// names, and never values.
func (l *loop) tellVariables(t *target) {
	if t.Service == nil {
		return
	}
	_, given := dotenv.Into(t.Service, t.variables)
	said := given.Sentence()
	if said == t.saidOfVariables {
		return
	}
	t.saidOfVariables = said
	l.events.Emit(event.Event{Kind: event.Note, Service: t.Name, Message: cmp.Or(said, "nothing of a .env any more")})
}

// everything are the files that there are now or were when last looked at.
func (l *loop) everything() []string {
	var files []string
	for file := range l.contents.files {
		files = append(files, file)
	}
	for _, g := range l.graphs() {
		files = append(files, present(g)...)
	}
	return files
}

func (l *loop) graphs() []*graph.Graph {
	var graphs []*graph.Graph
	for _, t := range l.targets {
		graphs = append(graphs, t.graphs...)
	}
	return graphs
}

// target is the target that a graph is named after, and the program.
func (l *loop) target(key string) (t *target, program string) {
	for _, t := range l.targets {
		if program, ok := strings.CutPrefix(key, t.programKey("")); ok {
			return t, program
		}
		if t.key() == key {
			return t, ""
		}
	}
	return nil, ""
}

// programKey names the graph of one of a target's programs.
func (t Target) programKey(importPath string) string { return t.key() + " program " + importPath }

// key tells targets apart.
func (t Target) key() string {
	if t.Service == nil {
		return "manifests in " + t.Dir
	}
	return t.Namespace + "/" + t.Name
}

// place is an edit as the screen shows it.
func (l *loop) place(e edit) string {
	name := relative(l.workDir, e.file)
	if e.line == 0 {
		return name
	}
	return fmt.Sprintf("%s:%d", name, e.line)
}

// stir hands over files that may soon be in a batch. It is called from another
// goroutine: where the loop has no time for them, the batch comes anyway.
func (l *loop) stir(files []string) {
	select {
	case l.stirred <- files:
	default:
	}
}

// held tells of a lock of git's that saves wait for. It is called from another
// goroutine.
func (l *loop) held(lock string) {
	l.events.Emit(event.Event{
		Kind: event.Note, Message: fmt.Sprintf("git is at work: what was saved waits for %s, ten seconds at most", relative(l.workDir, lock)),
	})
}

func (l *loop) warn(t *target, err error, hint string) {
	l.events.Emit(event.Event{Kind: event.Warning, Service: t.Name, Message: err.Error(), Hint: hint})
}

// ofASave is a hint at the next save, where files are watched for one.
func (l *loop) ofASave(hint string) string {
	if l.cfg.Once {
		return ""
	}
	return hint
}

// settle notes how the first build or revision of a target ended.
func (t *target) settle(err error) {
	if !t.settled {
		t.settled, t.outcome = true, err
	}
}

func (t *target) hasSettled() bool { return t.settled }

// toldOf says whether its user knows how it is with a target: one that does not
// listen never settles, and is watched as all are.
func (t *target) toldOf() bool { return t.settled || t.slow }

func (l *loop) all(are func(*target) bool) bool {
	return !slices.ContainsFunc(l.targets, func(t *target) bool { return !are(t) })
}

func (l *loop) outcome() error {
	var errs []error
	for _, t := range l.targets {
		if all, ok := t.outcome.(interface{ Unwrap() []error }); ok {
			errs = append(errs, all.Unwrap()...)
			continue
		}
		errs = append(errs, t.outcome)
	}
	return errors.Join(errs...)
}

func (l *loop) tellWatching() {
	if l.watching {
		return
	}
	l.watching = true
	services, objects := 0, 0
	for _, t := range l.targets {
		if t.objects == nil {
			services++
		} else {
			objects += len(t.objects.set.Objects)
		}
	}
	what := several(services, "service")
	switch {
	case services == 0:
		what = several(objects, "object")
	case objects > 0:
		what += " and " + several(objects, "object")
	}
	l.events.Emit(event.Event{
		Kind:    event.Watching,
		Message: "watching " + what + "; save a file to make a new revision; Ctrl-C leaves the box running",
	})
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func hasSource(dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".go") && !strings.HasSuffix(e.Name(), "_test.go") {
			return true
		}
	}
	return false
}
