//go:build e2e

package chaos

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

const soon = 90 * time.Second // for what takes seconds on a quiet machine

// story is one thing that goes wrong.
type story struct {
	name string
	tell func(*world, *testing.T)
}

var (
	// everywhere are those of every engine.
	everywhere = []story{
		{"a pod is killed under load", (*world).podKilled},
		{"a pod is deleted under load with no time to leave", (*world).podDeleted},
		{"200 requests at once, one at a time to a pod, from zero", (*world).burst},
		{"steady load from zero", (*world).steady},
		{"requests that pretend", (*world).pretend},
		{"the machine sleeps in the middle of an edit", (*world).paused},
	}
	// inPods are those of parts that are pods on kind.
	inPods = []story{
		{"the controller is killed", (*world).controllerKilled},
		{"the controller is away", (*world).controllerAway},
		{"the activator is killed", (*world).activatorKilled},
		{"the activator is replaced", (*world).activatorReplaced},
		{"the API server is gone for a minute", (*world).apiServerGone},
	}
)

// TestChaos tells the stories one after the other on one box. A story leaves
// the box as it was, or has found a bug.
func TestChaos(t *testing.T) {
	b := box.New(t, "devbox-chaos")
	dir := box.Program(t, "../subject")
	w := &world{Box: b, main: filepath.Join(dir, "main.go"), up: b.Up(dir), word: "one"}
	w.revision = w.up.Wait("the first revision", soon, live).Revision
	stories := everywhere
	if b.Engine() == "kind" {
		stories = append(stories, inPods...)
	}
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) { s.tell(w, t) })
	}
}

func live(e event.Event) bool { return e.Kind == event.RevisionLive }

// world is the box, and the service that `devbox up` serves in it.
type world struct {
	*box.Box
	up       *box.Session
	main     string // the service's source
	word     string // in it
	revision string // that answers
}

const subject = "subject.default.example.com"

// edit saves a new word, and returns what waits until it is live.
func (w *world) edit(t *testing.T, word string) (await func() time.Time) {
	t.Helper()
	mark := w.up.Mark()
	box.Edit(t, w.main, `word = "`+w.word+`"`, `word = "`+word+`"`)
	return func() time.Time {
		t.Helper()
		e := w.up.WaitAfter(mark, "the new revision", soon, live)
		at := time.Now()
		w.word, w.revision = word, e.Revision
		if r := w.Caller(subject, "/").Send(at); !r.OK() || revision(r) != w.revision {
			t.Errorf("after the edit: %s; want an answer of %s", r, w.revision)
		}
		return at
	}
}

// service makes a service of the subject's image, gone when t ends, and
// returns its host when it answers.
func (w *world) service(t *testing.T, name string, concurrency int64, annotations map[string]string) string {
	t.Helper()
	return w.Service(t, name, w.Image("subject"), concurrency, annotations)
}

// revision is the one that gave an answer.
func revision(r load.Result) string {
	name, _, _ := strings.Cut(r.Body, " ")
	return name
}
