package watcher

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
	"github.com/kind-in-a-box/devbox/watcher/notify"
)

// Question asks a loop how it is with what is saved of a service at the moment
// when the loop takes it. Saves that no event has told of yet count: all files
// are read anew.
type Question struct {
	Namespace string // empty is any
	Name      string
	Gone      <-chan struct{} // closed when nobody wants to know any more
	// Tell is called from the loop, and must not block: at first, whenever the
	// answer changes, and for the last time with one that is Known.
	Tell func(Standing)
}

// State is how far what was saved has come.
type State string

const (
	Underway State = "underway" // it is being built, or started
	Crashing State = "crashing" // it has failed, and is tried again
	Live     State = "live"
	NotLive  State = "not live" // and will not be, if nobody does anything
	NotMine  State = "not mine" // the loop has no such service
)

// Standing is the answer to a Question.
type Standing struct {
	Namespace string   `json:"namespace"`
	Service   string   `json:"service"`
	Revision  string   `json:"revision,omitempty"` // that was made of it, "" while there is none
	State     State    `json:"state"`
	Reason    string   `json:"reason,omitempty"` // what it waits for, or why it is not live
	Log       []string `json:"log,omitempty"`    // the container's last lines
	Hint      string   `json:"hint,omitempty"`   // what to do about it
	Part      Part     `json:"part,omitempty"`   // whose doing it is that it is not live
}

// Known says that the answer is the last one.
func (s Standing) Known() bool { return s.State != Underway && s.State != Crashing }

// Part is what stands in the way of a service.
type Part string

const (
	OfBuild    Part = "build"
	OfInput    Part = "input" // a file that is no source: a manifest, .ko.yaml, kodata
	OfBox      Part = "box"
	OfRevision Part = "revision"
)

// asked is a question and what was last told to whoever has it.
type asked struct {
	*Question
	target *target
	told   Standing
}

// ask takes a question. Where files are watched, those that differ from what was
// last read are saves as any other.
func (l *loop) ask(q *Question) {
	i := slices.IndexFunc(l.targets, func(t *target) bool { return t.hasService(q.Namespace, q.Name) })
	if i < 0 {
		q.Tell(Standing{Namespace: q.Namespace, Service: q.Name, State: NotMine})
		return
	}
	if !l.cfg.Once {
		l.changed(notify.Batch{Rescan: true, First: time.Now()})
	}
	l.questions = append(l.questions, &asked{Question: q, target: l.targets[i]})
}

// answer tells those who have asked what is new.
func (l *loop) answer() {
	l.questions = slices.DeleteFunc(l.questions, func(a *asked) bool {
		select {
		case <-a.Gone:
			return true
		default:
		}
		now := l.standing(a.target, a.Namespace, a.Name)
		if !reflect.DeepEqual(now, a.told) {
			a.told = now
			a.Tell(now)
		}
		return now.Known()
	})
}

// hasService says whether a target is, or has among its objects, a service.
func (t *target) hasService(namespace, name string) bool {
	if t.objects == nil {
		return t.Name == name && (namespace == "" || t.Namespace == namespace)
	}
	return t.serviceObject(namespace, name) != nil
}

// serviceObject is the object of a directory's manifests that is a service, nil
// where there is none.
func (t *target) serviceObject(namespace, name string) *manifest.Object {
	for i := range t.objects.set.Objects {
		o := &t.objects.set.Objects[i]
		if manifest.IsService(o) && o.GetName() == name && (namespace == "" || o.GetNamespace() == namespace) {
			return o
		}
	}
	return nil
}

// standing is how it is with what was saved of a target.
//
//	its source is not there              not live
//	work waits, or is done               underway
//	the source does not compile, or a
//	manifest says nothing that counts    not live
//	else                                 as it is with its revision
func (l *loop) standing(t *target, namespace, name string) Standing {
	s := Standing{Namespace: t.Namespace, Service: name, State: Underway}
	switch {
	case t.gone:
		s.State, s.Part, s.Reason = NotLive, OfInput, relative(l.workDir, t.Dir)+" holds no source any more"
	case t.pending != nil && t.stage != shipping, t.stage == building:
		s.Reason = "it is to be built"
	case t.pending != nil, t.stage == shipping, t.listing:
		s.Reason = "it is on its way into the box"
	case t.objects != nil:
		l.standingOfObjects(t, namespace, &s)
	case t.unread != nil:
		s.notLive(t.unread)
	case t.unbuilt != nil:
		s.notLive(t.unbuilt)
	case t.unshipped != nil:
		s.notLive(t.unshipped)
	case t.follow != nil:
		s = t.follow.heard.Standing()
	}
	return s
}

// standingOfObjects is standing of a service among the objects of a directory,
// which goes live with them.
func (l *loop) standingOfObjects(t *target, namespace string, s *Standing) {
	object := t.serviceObject(namespace, s.Service)
	if object == nil {
		s.State, s.Part, s.Reason = NotLive, OfInput, "no manifest has it any more"
		return
	}
	p := t.objects.placed[manifest.KeyOf(object.Unstructured)]
	if p != nil {
		s.Namespace, s.Revision = p.object.GetNamespace(), p.revision
	}
	switch {
	case p != nil && p.crashing != "":
		s.State, s.Reason = Crashing, p.crashing
	case t.objects.round != nil:
		s.Reason = "it is on its way into the box"
	default:
		if err := l.troubles(t); err != nil {
			s.notLive(err)
			return
		}
		s.State = Live
	}
}

// notLive says why nothing was made of what was saved.
func (s *Standing) notLive(err error) {
	s.State, s.Part, s.Reason = NotLive, OfBox, strings.TrimSpace(err.Error())
	switch words, ofSource := ofSource(err); {
	case is[*build.CompileError](err):
		s.Part, s.Reason = OfBuild, words
	case ofSource:
		s.Part, s.Reason = OfInput, words
	case is[*build.ImageError](err):
		s.Part = OfBuild
	case is[*RefusedError](err), is[manifest.Problem](err), is[*unreadError](err):
		s.Part = OfInput
	case errors.Is(err, deploy.ErrSuperseded):
		s.Part, s.Hint = OfRevision, "save a change to apply what is here again"
	case is[*FailedError](err):
		s.Part = OfRevision
	}
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// unreadError says why a manifest that was saved does not count.
type unreadError struct{ error }

// Follower makes a Standing of what is reported of a revision.
type Follower struct{ now Standing }

// NewFollower follows what an apply makes of a service.
func NewFollower(namespace, service string) *Follower {
	return &Follower{Standing{Namespace: namespace, Service: service, State: Underway, Reason: "there is no revision yet"}}
}

// Standing is how it is now.
func (f *Follower) Standing() Standing { return f.now }

// Take takes a report in, and returns how it is with it.
func (f *Follower) Take(r deploy.Report) Standing {
	reason := strings.TrimSpace(r.Reason)
	switch r.Stage {
	case deploy.Created:
		f.now.Revision, f.now.Reason = r.Revision, "it is being started"
	case deploy.Slow, deploy.Rolling:
		f.now.State, f.now.Reason, f.now.Log = Underway, reason, r.Log
	case deploy.Failed:
		f.fails(r, reason)
	case deploy.Failing:
		f.now.State, f.now.Part = NotLive, OfRevision
		f.now.Reason, f.now.Log = "it was live, and fails: "+reason, r.Log
	case deploy.Live, deploy.Well, deploy.Moved:
		f.now.State, f.now.Part, f.now.Reason, f.now.Log, f.now.Hint = Live, "", "", nil, r.Hint
		if r.Pinned != "" {
			f.now.State, f.now.Part, f.now.Reason = NotLive, OfRevision, "it is ready, and "+strings.TrimPrefix(r.Pinned, "it ")
		}
	}
	return f.now
}

// fails takes in that a revision has failed. The last word on one that was told
// of does not repeat why.
func (f *Follower) fails(r deploy.Report, reason string) {
	if f.now.State == Crashing {
		f.now.Reason += "; " + reason
	} else {
		f.now.Reason, f.now.Log, f.now.Hint = reason, r.Log, r.Hint
	}
	f.now.State = Crashing
	if r.Final {
		f.now.State, f.now.Part = NotLive, OfRevision
	}
}
