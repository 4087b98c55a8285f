package watcher

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// ask asks how it is with a service, and returns the answers as they come.
func (s *session) ask(name string) <-chan Standing {
	s.t.Helper()
	answers := make(chan Standing, 100)
	select {
	case s.questions <- &Question{Name: name, Tell: func(now Standing) { answers <- now }}:
	case <-time.After(time.Minute):
		s.t.Fatalf("nobody takes a question%s", s.told())
	}
	return answers
}

// until is the first answer of a state.
func (s *session) until(answers <-chan Standing, state State) Standing {
	s.t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case now := <-answers:
			if now.State == state {
				return now
			}
			if now.Known() {
				s.t.Fatalf("got %+v, want %s%s", now, state, s.told())
			}
		case <-late:
			s.t.Fatalf("never %s%s", state, s.told())
		}
	}
}

// TestAskedForWhatIsSaved: each save is asked about at once, before any event
// can have told of it, and the answer is of it and of nothing before it.
func TestAskedForWhatIsSaved(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"hello/main.go": says("one")})
	main, manifest := filepath.Join(root, "hello", "main.go"), filepath.Join(root, "hello", "service.yaml")
	s := p.begin(false, "hello")
	if now := s.until(s.ask("nobody"), NotMine); now.Service != "nobody" {
		t.Errorf("a service of nobody's: %+v", now)
	}
	live := func(want string) Standing {
		t.Helper()
		now := s.until(s.ask("hello"), Live)
		s.answers("hello", want)
		return now
	}
	not := func(part Part, words string) Standing {
		t.Helper()
		now := s.until(s.ask("hello"), NotLive)
		if now.Part != part || !strings.Contains(now.Reason, words) {
			t.Errorf("not live: %+v, want one of the %s with %q", now, part, words)
		}
		return now
	}
	if now := live("one"); now.Revision != "hello-00001" || now.Namespace != s.namespace {
		t.Errorf("the first: %+v", now)
	}
	save(t, main, says("two"))
	live("two")
	live("two") // with nothing saved since

	save(t, main, "package main\n\nfunc main() { nowhere() }\n")
	not(OfBuild, "hello/main.go:3:15: undefined: nowhere")
	save(t, manifest, strings.Replace(fmt.Sprintf(describe, "hello", s.namespace), "World", "Mars", 1))
	not(OfBuild, "undefined: nowhere") // the manifest is in force, and the source is not
	save(t, main, says("three"))
	live("threeMars")

	save(t, manifest, "kind: Nonsense\n")
	not(OfInput, "service.yaml")
	save(t, manifest, strings.Replace(fmt.Sprintf(describe, "hello", s.namespace), "World", "", 1))
	live("three")

	save(t, main, strings.Replace(says("x"), "func main() {", "func main() {\n\tdefer os.Exit(1)", 1))
	answers := s.ask("hello")
	if now := s.until(answers, Crashing); !strings.Contains(now.Reason, "exited with code 1") {
		t.Errorf("a crash: %+v", now)
	}
	save(t, main, says("four")) // what was asked for is what is saved, and that is newer now
	s.until(answers, Live)
	s.answers("hello", "four")

	if err := os.Rename(filepath.Dir(main), filepath.Join(root, "away")); err != nil {
		t.Fatal(err)
	}
	not(OfInput, "hello holds no source any more")
}

// TestAHeldServiceTakesNoSave: what is saved while a service is held becomes a
// revision without traffic, and says so; after it is released it is live, with
// no other save, and so is each after it.
func TestAHeldServiceTakesNoSave(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"hello/main.go": says("one")})
	main := filepath.Join(root, "hello", "main.go")
	s, mark := p.begin(false, "hello"), 0
	s.wait(&mark, event.RevisionLive)
	save(t, main, says("two"))
	s.wait(&mark, event.RevisionLive)

	ctx, c := t.Context(), s.box.Client
	hello := func() *servingv1.Service {
		t.Helper()
		now := &servingv1.Service{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: "hello"}, now); err != nil {
			t.Fatal(err)
		}
		return now
	}
	if err := deploy.Rollback(ctx, c, hello(), "hello-00001"); err != nil {
		t.Fatal(err)
	}
	moved := s.wait(&mark, event.TrafficMoved)
	if moved.Revision != "hello-00001" || !strings.Contains(moved.Hint, "devbox hold --release hello") {
		t.Errorf("told %+v", moved)
	}
	if err := wait.PollUntilContextTimeout(ctx, time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		return s.box.Answer(s.namespace, "hello") == "one", nil
	}); err != nil {
		t.Fatalf("the gateway does not go back: %v", err)
	}

	save(t, main, says("three"))
	held := s.wait(&mark, event.RevisionLive)
	if !strings.Contains(held.Message, "which is held: spec.traffic gives 100% to hello-00001") || !strings.Contains(held.Hint, "--release") {
		t.Errorf("told %+v", held)
	}
	if now := s.until(s.ask("hello"), NotLive); now.Part != OfRevision || now.Revision != held.Revision || !strings.Contains(now.Reason, "which is held") {
		t.Errorf("got %+v", now)
	}
	s.answers("hello", "one")

	if err := deploy.Release(ctx, c, hello()); err != nil {
		t.Fatal(err)
	}
	if e := s.wait(&mark, event.TrafficMoved); e.Revision != held.Revision {
		t.Errorf("told %+v", e)
	}
	save(t, main, says("four"))
	s.until(s.ask("hello"), Live)
	s.answers("hello", "four")
}

// TestSomebodyElseChangesAService: it is said, with what to do, and the next save
// has the service again.
func TestSomebodyElseChangesAService(t *testing.T) {
	p := newPlace(t)
	main := filepath.Join(project(t, map[string]string{"hello/main.go": says("one")}), "hello", "main.go")
	s, mark := p.begin(false, "hello"), 0
	s.wait(&mark, event.RevisionLive)
	s.wait(&mark, event.Watching)
	theirs := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"template":{"metadata":{"annotations":{"`+deploy.TemplateAnnotation+`":"theirs"}}}}}`))
	hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}
	if err := s.box.Client.Patch(t.Context(), hello, theirs); err != nil {
		t.Fatal(err)
	}
	if e := s.wait(&mark, event.Note); !strings.Contains(e.Message, "somebody else changed the Service") || !strings.Contains(e.Hint, "the next save") {
		t.Errorf("told %+v", e)
	}
	if now := s.until(s.ask("hello"), NotLive); now.Part != OfRevision || !strings.Contains(now.Hint, "save a change") {
		t.Errorf("got %+v", now)
	}
	save(t, main, says("two"))
	s.until(s.ask("hello"), Live)
	s.answers("hello", "two")
}
