package watcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// round is one request of a directory of manifests on its way to be live.
type round struct {
	work    *request
	phases  times
	applied time.Time // when all were
	changed int       // objects that were placed
}

// placed is an object in the box.
type placed struct {
	object manifest.Object
	kind   schema.GroupVersionKind
	sum    string // of what it was placed as; empty where it was refused
	cancel context.CancelFunc
	ended  bool  // it is rolled out, or will not be
	err    error // why it was refused or will not be

	replaced bool // it is being applied anew, so nothing is told of it any more

	revision string // of a Service of the serving stack: its newest
	crashing string // why that has failed, while it is tried again
}

// startPlacing brings the objects into the box, with the images that were
// built.
func (l *loop) startPlacing(ctx context.Context, t *target, built map[string]v1.Image) {
	t.stage = shipping
	o := t.objects
	o.round = &round{work: t.work, phases: times{t.began, t.built, t.pushed}}
	p := &placing{
		deployer: l.deployer, registry: l.cfg.Registry, workDir: l.workDir, engine: l.cfg.Engine, owned: func() ([]owned, error) { return l.sweep.find(ctx, l.deployer) },
		dir: t.Dir, name: t.Name, objects: o.set.Objects, whole: o.set.Whole(), sweep: !o.swept, built: built, images: o.images,
		known: map[manifest.Key]string{}, kinds: map[manifest.Key]schema.GroupVersionKind{}, groups: o.groups(),
		tell: func(news any) { l.report(ctx, func(ctx context.Context) { l.placingSays(ctx, t, news) }) },
	}
	print := o.print
	p.still = func() bool {
		set, err := t.readObjects()
		return err == nil && fingerprint(set) == print
	}
	for key, there := range o.placed {
		p.known[key], p.kinds[key] = there.sum, there.kind
	}
	p.applied = func() { l.report(ctx, func(context.Context) { o.allApplied() }) }
	l.do(ctx, func() func(context.Context) {
		swept := p.run(ctx)
		return func(context.Context) {
			o.swept = o.swept || swept
			t.stage = idle
			l.roundOver(t)
		}
	})
}

// groups are the API groups that the objects define kinds of.
func (o *objects) groups() map[string]bool {
	groups := map[string]bool{}
	for _, object := range o.set.Objects {
		if spec, ok := object.Object["spec"].(map[string]any); ok && object.GetKind() == "CustomResourceDefinition" {
			group, _ := spec["group"].(string)
			groups[group] = true
		}
	}
	return groups
}

func (o *objects) allApplied() {
	o.round.applied = time.Now()
	select {
	case <-o.applied:
	default:
		close(o.applied)
	}
}

// placingSays takes in, in the loop's goroutine, what a placing tells.
func (l *loop) placingSays(ctx context.Context, t *target, news any) {
	switch n := news.(type) {
	case programPushed:
		l.programPushed(t, n)
	case allPushed:
		t.pushed, t.objects.round.phases.pushed = n.at, n.at
	case objectPlaced:
		l.objectPlaced(ctx, t, n)
	case objectRemoved:
		l.objectRemoved(t, n)
	case objectsKept:
		l.objectsKept(t, n)
	case objectReplacing:
		if there := t.objects.placed[n.key]; there != nil && there.cancel != nil {
			there.cancel() // that it goes is our own doing
			there.replaced = true
		}
	case objectForgotten:
		delete(t.objects.placed, n.key)
	}
}

// objectsKept says, once for each set of files, what is not removed and why.
func (l *loop) objectsKept(t *target, n objectsKept) {
	var names, files []string
	for _, key := range n.keys {
		names = append(names, key.String())
	}
	for _, file := range t.objects.set.Unread() {
		files = append(files, relative(l.workDir, file))
	}
	line := fmt.Sprintf("not removed, for it may be in %s, which cannot be read: %s", strings.Join(files, ", "), strings.Join(names, ", "))
	if !t.objects.told[line] {
		t.objects.told[line] = true
		l.warn(t, errors.New(line), "mend the file, or move it to another directory")
	}
}

func (l *loop) programPushed(t *target, n programPushed) {
	if n.err != nil {
		t.objects.unbuilt[n.importPath] = n.err
		l.warn(t, n.err, l.ofASave("the next save tries again"))
		return
	}
	t.objects.images[n.importPath] = n.image
	l.events.Emit(event.Event{Kind: event.BuildDone, Service: t.Name, Image: n.image, Message: n.way, Duration: time.Since(t.began)})
}

// objectPlaced follows an object that was applied.
func (l *loop) objectPlaced(ctx context.Context, t *target, n objectPlaced) {
	o, e := t.objects, event.Event{Service: t.Name, Object: n.object.Title()}
	there := o.placed[n.key]
	if there != nil && there.cancel != nil {
		there.cancel()
	}
	if n.err != nil {
		refused := &placed{object: n.object, ended: true, err: n.err}
		if there != nil { // the one before stays in the box, and devbox's
			refused.kind = there.kind
		}
		o.placed[n.key] = refused
		e.Kind, e.Error = event.ObjectFailed, n.err.Error()
		l.events.Emit(e)
		return
	}
	o.round.changed++
	now := &placed{object: n.object, kind: n.placed.Object.GroupVersionKind(), sum: n.sum}
	o.placed[n.key] = now
	e.Kind, e.Host = event.ObjectApplied, hostOf(n)
	l.events.Emit(e)
	if now.ended = !deploy.RollsOut(n.placed.Object); !now.ended {
		l.follow(ctx, t, now, n.placed)
	}
}

// hostOf is a host of a VirtualService, by which the gateway knows what is
// behind it.
func hostOf(n objectPlaced) string {
	if n.object.GroupVersionKind().Group != "networking.istio.io" || n.object.GetKind() != "VirtualService" {
		return ""
	}
	if spec, ok := n.object.Object["spec"].(map[string]any); ok {
		if hosts, ok := spec["hosts"].([]any); ok && len(hosts) > 0 {
			host, _ := hosts[0].(string)
			return host
		}
	}
	return ""
}

// follow tells of an object until it is rolled out.
func (l *loop) follow(ctx context.Context, t *target, now *placed, p *deploy.Placed) {
	followCtx, cancel := context.WithCancel(ctx)
	now.cancel = cancel
	l.do(ctx, func() func(context.Context) {
		defer cancel()
		err := l.deployer.Follow(followCtx, p, func(r deploy.Report) {
			l.report(ctx, func(context.Context) { l.objectProgress(t, now, p, r) })
		})
		replaced := followCtx.Err() != nil
		return func(context.Context) {
			if !replaced {
				l.followedObject(t, now, err)
			}
		}
	})
}

// followedObject takes the end of following an object.
func (l *loop) followedObject(t *target, now *placed, err error) {
	if _, told := errors.AsType[*deploy.NotRolledOutError](err); err != nil && !told {
		l.events.Emit(event.Event{Kind: event.ObjectFailed, Service: t.Name, Object: now.object.Title(), Error: err.Error()})
	}
	now.end(err)
	l.roundOver(t)
}

func (p *placed) end(err error) {
	if p.ended {
		return
	}
	p.ended, p.err = true, err
}

// objectProgress tells of a followed object. A Service of the serving stack
// is told of as one that has a directory of its own.
func (l *loop) objectProgress(t *target, now *placed, p *deploy.Placed, r deploy.Report) {
	if now.replaced || t.objects.placed[manifest.KeyOf(now.object.Unstructured)] != now {
		return
	}
	e := event.Event{Service: t.Name, Object: now.object.Title(), Log: r.Log}
	kinds := map[deploy.Stage]event.Kind{deploy.Slow: event.ObjectSlow, deploy.Failed: event.ObjectFailed, deploy.Live: event.ObjectReady}
	if p.Host() != "" {
		e = event.Event{Service: now.object.GetName(), Revision: r.Revision, Host: r.Host, Browser: r.Browser, Unfound: r.Unfound, Log: r.Log}
		kinds = map[deploy.Stage]event.Kind{
			deploy.Created: event.RevisionNew, deploy.Slow: event.RevisionSlow, deploy.Failed: event.RevisionFailed, deploy.Live: event.RevisionLive,
			deploy.Rolling: event.Note,
		}
	}
	e.Kind, now.revision = kinds[r.Stage], r.Revision
	switch r.Stage {
	case deploy.Slow:
		t.slow = true
		e.Message = r.Reason
	case deploy.Rolling:
		t.slow = true
		e.Message = r.Revision + " answers: " + r.Reason
	case deploy.Failed:
		now.crashing = ""
		if p.Host() != "" && !r.Final {
			now.crashing = r.Reason
		}
		if now.ended && !l.cfg.Once { // the last word is news to who waits for it
			return
		}
		e.Error = r.Reason
		failed := &deploy.NotRolledOutError{Reason: r.Reason}
		if p.Host() != "" && (r.Final || !l.cfg.Once) {
			now.end(failed)
		}
		if !l.cfg.Once { // where nobody waits for the end, this is one
			t.settle(&FailedError{Service: t.Name, Revision: now.object.Title(), Reason: r.Reason})
		}
	case deploy.Live:
		e.Duration = time.Since(p.Since)
		now.ended, now.err, now.crashing = true, nil, ""
	}
	if e.Kind == event.RevisionLive {
		e.URL, e.Files, e.Message, e.Hint = l.cfg.Gateway, t.objects.filesOf(), r.Pinned, r.Hint
		e.Phases = []event.Phase{{Name: "pod", Duration: r.Pod}, {Name: "switch", Duration: r.Switch}}
	}
	l.events.Emit(e)
	l.roundOver(t)
}

// filesOf are the files of the round.
func (o *objects) filesOf() []string {
	if o.round == nil || o.round.work == nil {
		return nil
	}
	return o.round.work.files
}

func (l *loop) objectRemoved(t *target, n objectRemoved) {
	if n.err != nil {
		l.warn(t, fmt.Errorf("removing %s: %w", n.key, n.err), l.ofASave("the next save tries again"))
		return
	}
	if there := t.objects.placed[n.key]; there != nil && there.cancel != nil {
		there.cancel()
	}
	delete(t.objects.placed, n.key)
	l.events.Emit(event.Event{Kind: event.ObjectRemoved, Service: t.Name, Object: n.key.String()})
}

// roundOver says, when nothing is on its way any more, that all is as the
// files say, if it is.
func (l *loop) roundOver(t *target) {
	o := t.objects
	if t.stage != idle || o.round == nil {
		return
	}
	for _, p := range o.placed {
		if !p.ended {
			return
		}
	}
	r := o.round
	o.round = nil
	err := l.troubles(t)
	t.settle(err)
	if err != nil || r.changed == 0 {
		return
	}
	e := event.Event{Kind: event.ObjectsLive, Service: t.Name, Files: r.work.files, Phases: r.split(time.Now()), Message: several(len(o.placed), "object")}
	for _, p := range e.Phases {
		e.Duration += p.Duration
	}
	l.events.Emit(e)
}

// troubles are all reasons for which a directory is not as its files say.
func (l *loop) troubles(t *target) error {
	var errs []error
	for _, p := range t.objects.set.Problems {
		p.File = relative(l.workDir, p.File)
		errs = append(errs, p)
	}
	for _, program := range t.objects.programs() {
		errs = append(errs, t.objects.unbuilt[program])
	}
	for _, p := range t.objects.placed {
		if p.err != nil {
			failed := &FailedError{Service: t.Name, Revision: p.object.Title(), Reason: p.err.Error(), Refused: p.sum == ""}
			if lack, ok := errors.AsType[*LackError](p.err); ok {
				failed.Lack = lack
			}
			errs = append(errs, failed)
		}
	}
	return errors.Join(errs...)
}

// split is where the time went, from the save until all was rolled out.
func (r *round) split(now time.Time) []event.Phase {
	var phases []event.Phase
	add := func(name string, d time.Duration) { phases = append(phases, event.Phase{Name: name, Duration: d}) }
	if !r.work.first {
		add("notice", r.phases.began.Sub(r.work.since))
	}
	from := r.phases.began
	if !r.phases.built.IsZero() && len(r.work.programs) > 0 {
		add("build", r.phases.built.Sub(from))
		add("push", r.phases.pushed.Sub(r.phases.built))
		from = r.phases.pushed
	}
	add("apply", r.applied.Sub(from))
	add("rollout", now.Sub(r.applied))
	return phases
}

// sumOf sums up what an object is placed as.
func sumOf(o manifest.Object) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(o.Object) // it was decoded from JSON
	return hex.EncodeToString(h.Sum(nil))
}
