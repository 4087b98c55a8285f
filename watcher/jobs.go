package watcher

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// do runs work in a goroutine and what it returns in the loop's.
func (l *loop) do(ctx context.Context, work func() func(context.Context)) {
	l.jobs.Go(func() { l.report(ctx, work()) })
}

// report has something done in the loop's goroutine.
func (l *loop) report(ctx context.Context, news func(context.Context)) {
	if news == nil {
		return
	}
	select {
	case l.news <- news:
	case <-ctx.Done():
	}
}

// startBuild builds what is pending.
func (l *loop) startBuild(ctx context.Context, t *target) {
	t.work, t.pending, t.stage = t.pending, nil, building
	t.began = time.Now()
	l.building++
	switch {
	case t.objects == nil:
		t.work.programs = union(union(t.work.programs, t.owed), t.missing())
		t.owed = nil
	case t.work.first:
		l.reread(t)
		t.work.programs = t.objects.programs()
	}
	if t.work.list {
		l.startList(ctx, t)
	}
	if t.objects == nil || len(t.work.programs) > 0 {
		l.events.Emit(event.Event{Kind: event.BuildStarted, Service: t.Name, Files: t.work.files})
	}
	buildCtx, cancel := context.WithCancelCause(ctx)
	t.cancel = func() { cancel(errNewer) }
	if t.objects != nil {
		l.startPrograms(ctx, t, buildCtx)
		return
	}
	of, programs, builder := t.Target, t.work.programs, l.builderOf(t)
	l.do(ctx, func() func(context.Context) {
		defer cancel(nil)
		images, err := l.buildService(buildCtx, of, programs, builder)
		return func(ctx context.Context) { l.built(ctx, t, images, err) }
	})
}

// buildService makes an image of each of a Service's programs, one after the
// other: the compiler uses all processors by itself.
func (l *loop) buildService(ctx context.Context, t Target, programs []string, builder func(importPath string) *build.Builder) (map[string]v1.Image, error) {
	if t.Image != nil {
		return map[string]v1.Image{t.ImportPath: t.Image}, nil
	}
	images := map[string]v1.Image{}
	for _, importPath := range programs {
		var err error
		if importPath == t.ImportPath {
			images[importPath], err = builder(importPath).Build(ctx, t.Dir, importPath)
		} else {
			images[importPath], err = buildProgram(ctx, builder(importPath), t.Dir, importPath)
		}
		if err != nil {
			return nil, err
		}
	}
	return images, nil
}

// built takes the end of a build. One that was overtaken by a newer edit is
// as if it had not been, whatever came of it.
func (l *loop) built(ctx context.Context, t *target, images map[string]v1.Image, err error) {
	t.stage, t.built = idle, time.Now()
	l.building--
	if t.pending != nil && t.pending.build {
		t.pending = t.work.add(t.pending)
		return
	}
	if err == nil {
		err = t.learnCommand(images)
	}
	if t.unbuilt = err; err != nil {
		l.notBuilt(t, err)
		return
	}
	if t.pending != nil { // the manifest, which goes with this image
		t.work, t.pending = t.work.add(t.pending), nil
	}
	l.startShip(ctx, t, images)
}

func (l *loop) notBuilt(t *target, err error) {
	t.settle(err)
	t.owed = t.work.programs
	words, ok := ofSource(err)
	if !ok {
		l.warn(t, err, l.ofASave("the next save tries again"))
		return
	}
	e := event.Event{Kind: event.BuildFailed, Service: t.Name, Error: words, Files: t.work.files, Duration: t.built.Sub(t.began)}
	if t.image() == "" {
		e.Hint = l.ofASave("the service waits for a save that compiles")
	}
	l.events.Emit(e)
}

// ofSource says what is wrong with the files that a build was made of, if it is
// they that are.
func ofSource(err error) (words string, ok bool) {
	if compile, ok := errors.AsType[*build.CompileError](err); ok {
		return compile.Output, true
	}
	if wrong, ok := errors.AsType[*build.ConfigError](err); ok {
		return wrong.Error(), true
	}
	if wrong, ok := errors.AsType[*build.DataError](err); ok {
		return wrong.Error(), true
	}
	return "", false
}

// startShip pushes images and applies the manifest with them, and with those
// that are there for what was not built.
func (l *loop) startShip(ctx context.Context, t *target, built map[string]v1.Image) {
	t.stage = shipping
	if t.objects != nil {
		l.startPlacing(ctx, t, nil)
		return
	}
	of, images, beside, template := t.Target, maps.Clone(t.images), l.beside(t), l.template(t)
	l.do(ctx, func() func(context.Context) {
		for importPath, img := range built {
			var err error
			if images[importPath], err = l.cfg.Registry.Image(ctx, of.repository(importPath), build.Variants(img)...); err != nil {
				if !is[*push.RefusedError](err) { // a registry of the user's is no part of the box
					err = &BoxError{err}
				}
				return func(context.Context) { l.notShipped(t, err) }
			}
		}
		if len(built) > 0 {
			pushed := time.Now()
			l.report(ctx, func(context.Context) { l.pushed(t, images, waysOf(built), pushed) })
		}
		select {
		case <-beside: // a container starts with the ConfigMaps that there are
		case <-ctx.Done():
			return nil
		}
		service, err := template(ctx, images)
		if err != nil {
			return func(context.Context) { l.notShipped(t, &BoxError{err}) }
		}
		rollout, err := l.deployer.Apply(ctx, service, of.ImportPath, images)
		if err != nil {
			err := l.refusal(ctx, of, err)
			return func(context.Context) { l.notShipped(t, err) }
		}
		return func(ctx context.Context) { l.shipped(ctx, t, rollout) }
	})
}

// repository is where the images of one of a Service's programs are.
func (t Target) repository(importPath string) string {
	if importPath == t.ImportPath {
		return t.Name
	}
	return t.Name + "/" + path.Base(importPath)
}

// waysOf says how images were made, where a Builder remembers it.
func waysOf(built map[string]v1.Image) string {
	var ways []string
	for _, importPath := range slices.Sorted(maps.Keys(built)) {
		if way := build.Way(built[importPath]); way != "" && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return strings.Join(ways, "; ")
}

func (l *loop) pushed(t *target, images map[string]string, ways string, at time.Time) {
	t.images, t.pushed = images, at
	l.events.Emit(event.Event{
		Kind: event.BuildDone, Service: t.Name, Image: t.image(), Message: ways, Duration: at.Sub(t.began),
		Phases: []event.Phase{{Name: "build", Duration: t.built.Sub(t.began)}, {Name: "push", Duration: at.Sub(t.built)}},
	})
}

func (l *loop) notShipped(t *target, err error) {
	t.stage, t.owed = idle, t.work.programs
	t.unshipped = err
	t.settle(err)
	hint := l.ofASave("the next save tries again")
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Before {
		hint = "the Service before it stays in force until this is mended"
	}
	if refused, ok := errors.AsType[*push.RefusedError](err); ok {
		hint = refused.Hint + l.ofASave("; the next save tries again")
	}
	l.warn(t, err, hint)
}

// refusal says whose an apply's error is: the file's, or the box's.
func (l *loop) refusal(ctx context.Context, t Target, err error) error {
	if !deploy.Refused(err) {
		return &BoxError{err}
	}
	refused := &RefusedError{File: t.Name, Err: err, Before: l.deployer.Has(ctx, t.Service)}
	if t.ManifestPath != "" { // an image has none
		refused.File = relative(l.workDir, t.ManifestPath)
	}
	return refused
}

// shipped follows the revision that an apply makes, and no longer the one
// before it.
func (l *loop) shipped(ctx context.Context, t *target, rollout *deploy.Rollout) {
	t.stage, t.unshipped = idle, nil
	l.supersede(t)
	followCtx, cancel := context.WithCancel(ctx)
	f := &follow{cancel: cancel, work: t.work, image: t.image(), phases: times{t.began, t.built, t.pushed}, heard: *NewFollower(t.Namespace, t.Name)}
	t.follow = f
	l.do(ctx, func() func(context.Context) {
		defer cancel()
		wait := l.deployer.Attend
		if l.cfg.Once {
			wait = l.deployer.Wait
		}
		err := wait(followCtx, rollout, func(r deploy.Report) {
			l.report(ctx, func(context.Context) { l.progress(t, f, r) })
		})
		return func(context.Context) { l.followed(t, f, err) }
	})
}

// supersede ceases to follow a revision that a newer one replaces.
func (l *loop) supersede(t *target) {
	if t.follow == nil {
		return
	}
	t.follow.cancel()
	if f := t.follow; !f.ended && f.revision != "" {
		l.events.Emit(event.Event{Kind: event.Note, Service: t.Name, Revision: f.revision, Message: f.revision + " is superseded before it was live"})
	}
	t.follow = nil
}

// progress tells of a followed revision.
func (l *loop) progress(t *target, f *follow, r deploy.Report) {
	if t.follow != f || r.Stage == deploy.Moved && t.stage == shipping { // the manifest itself may move it
		return
	}
	if r.Stage != deploy.Moved {
		f.revision = r.Revision
	}
	f.heard.Take(r)
	e := event.Event{Service: t.Name, Revision: r.Revision, Log: r.Log, Host: r.Host, Image: f.image}
	switch r.Stage {
	case deploy.Created:
		e.Kind = event.RevisionNew
	case deploy.Slow:
		t.slow = true
		e.Kind, e.Message = event.RevisionSlow, r.Reason
		if t.debug != nil {
			e.Hint = "it may stand, at a panic or where a debugger stopped it: see at " + t.debug.door.Address()
		}
	case deploy.Rolling:
		t.slow = true
		e.Kind, e.Message = event.Note, r.Revision+" answers: "+r.Reason
	case deploy.Failed:
		if f.ended && !l.cfg.Once { // the last word is news to who waits for it
			return
		}
		f.ended = true
		e.Kind, e.Error, e.Hint = event.RevisionFailed, r.Reason, r.Hint
		if l.cfg.Once && !r.Final { // what it needs may be there in a moment
			e.Hint = cmp.Or(r.Hint, "it is started again, and waited for until its progress deadline; Ctrl-C does not wait")
			break
		}
		t.settle(&FailedError{Service: t.Name, Revision: r.Revision, Reason: r.Reason})
	case deploy.Live:
		f.ended = true
		e.Kind, e.URL, e.Files, e.Message = event.RevisionLive, l.cfg.Gateway, f.work.files, r.Pinned
		e.Browser, e.Unfound, e.Hint = r.Browser, r.Unfound, r.Hint
		e.Phases = f.split(r)
		for _, p := range e.Phases {
			e.Duration += p.Duration
		}
		t.settle(nil)
		if t.debug != nil {
			t.debug.door.Live(r.Revision)
		}
	case deploy.Failing:
		e.Kind, e.Message = event.Warning, r.Revision+" was live and fails: "+strings.TrimSpace(r.Reason)
		for _, line := range r.Log {
			if !strings.Contains(r.Reason, line) {
				e.Message += "\n| " + line
			}
		}
	case deploy.Well:
		e.Kind, e.Message = event.Note, r.Revision+" is well again"
	case deploy.Moved:
		e.Kind, e.Message, e.Hint = event.TrafficMoved, "the traffic goes to "+f.revision+" again", r.Hint
		if r.Pinned != "" {
			e.Message = "the traffic has moved from " + f.revision + ": " + r.Pinned
		}
	}
	l.events.Emit(e)
}

// split is where the time of an edit went, from the save until it was live.
func (f *follow) split(r deploy.Report) []event.Phase {
	var phases []event.Phase
	add := func(name string, d time.Duration) { phases = append(phases, event.Phase{Name: name, Duration: d}) }
	if !f.work.first {
		add("notice", f.phases.began.Sub(f.work.since))
	}
	if !f.phases.built.IsZero() {
		add("build", f.phases.built.Sub(f.phases.began))
		add("push", f.phases.pushed.Sub(f.phases.built))
	}
	add("pod", r.Pod)
	add("switch", r.Switch)
	return phases
}

// followed takes the end of following a revision.
func (l *loop) followed(t *target, f *follow, err error) {
	if t.follow != f {
		return
	}
	if err == nil { // it is live, or was, and somebody else's is newer
		if !l.cfg.Once {
			t.unshipped = deploy.ErrSuperseded
			if t.stage != shipping { // else the newer one is our own
				l.superseded(t, f)
			}
		}
		return
	}
	t.unshipped = err
	if errors.Is(err, deploy.ErrSuperseded) {
		t.settle(err)
		l.superseded(t, f)
		return
	}
	if errors.Is(err, deploy.ErrDeleted) {
		l.deleted(t, f)
		return
	}
	err = &BoxError{err}
	t.unshipped = err
	t.settle(err)
	l.warn(t, err, "")
}

// superseded tells that somebody else's revision is the newest, and what has the
// target's again.
func (l *loop) superseded(t *target, f *follow) {
	l.events.Emit(event.Event{
		Kind: event.Note, Service: t.Name, Revision: f.revision,
		Message: deploy.ErrSuperseded.Error() + ": another revision than " + f.revision + " is its newest",
		Hint:    cmp.Or(l.ofASave("the next save applies what is here again"), "the same command applies it again"),
	})
}

// deleted tells that somebody has deleted a target's Service, and what makes it
// anew.
func (l *loop) deleted(t *target, f *follow) {
	t.follow = nil
	t.unshipped = &FailedError{Service: t.Name, Revision: f.revision, Reason: deploy.ErrDeleted.Error()}
	t.settle(t.unshipped)
	l.events.Emit(event.Event{
		Kind: event.ServiceDeleted, Service: t.Name, Revision: f.revision,
		Message: deploy.ErrDeleted.Error() + ": nothing answers for it",
		Hint:    cmp.Or(l.ofASave("the next save makes it again"), "the same command makes it again"),
	})
}
