package watcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/authn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/internal/push"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/registry"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/internal/standin"
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // ko logs each build
	ctrllog.SetLogger(logr.Discard())
	bed.Main(m)
}

// place is where loops run: a box and its registry.
type place struct {
	t         *testing.T
	rest      *rest.Config
	box       *standin.Box
	registry  push.Registry
	images    *httptest.Server // the registry
	namespace string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	b := bed.Start(t)
	p := &place{t: t, rest: b.REST(), namespace: b.Namespace(t)}
	p.box = standin.Start(t, p.rest, p.namespace)
	handler, err := registry.New(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	images := httptest.NewServer(handler)
	t.Cleanup(images.Close)
	p.registry, p.images = push.Box(strings.TrimPrefix(images.URL, "http://")), images
	return p
}

// session is a running loop.
type session struct {
	*place
	stop      func() error
	questions chan *Question

	mu     sync.Mutex
	events []event.Event
	news   chan struct{}
}

// begin discovers the targets of the working directory and runs the loop.
func (p *place) begin(once bool, args ...string) *session {
	p.t.Helper()
	targets, _, err := Discover(p.t.Context(), args)
	if err == nil {
		targets, err = WithVariables(targets)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return p.beginWith(once, targets)
}

// beginWith runs the loop of some targets.
func (p *place) beginWith(once bool, targets []Target) *session {
	for i := range targets {
		if targets[i].Service != nil {
			targets[i].Namespace, targets[i].Service.Namespace = p.namespace, p.namespace
		}
	}
	s := &session{place: p, news: make(chan struct{}), questions: make(chan *Question)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- Run(ctx, Config{
			Targets: targets, Registry: p.registry, REST: p.rest,
			Gateway: p.box.URL, Domain: standin.Domain, Engine: "embedded", Once: once, Events: s.take, Questions: s.questions,
		})
	}()
	s.stop = sync.OnceValue(func() error {
		if !once {
			cancel()
		}
		return <-done
	})
	p.t.Cleanup(func() { cancel(); _ = s.stop() })
	return s
}

func (s *session) take(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events = append(s.events, e)
	close(s.news)
	s.news = make(chan struct{})
}

// wait is the first event of a kind after a mark, which it moves on.
func (s *session) wait(mark *int, kind event.Kind) event.Event {
	s.t.Helper()
	late := time.After(time.Minute)
	for {
		s.mu.Lock()
		events, news := s.events, s.news
		s.mu.Unlock()
		for ; *mark < len(events); *mark++ {
			if events[*mark].Kind == kind {
				*mark++
				return events[*mark-1]
			}
		}
		select {
		case <-news:
		case <-late:
			s.t.Fatalf("no %s; there was %s", kind, s.told())
		}
	}
}

// told is what was said, one line an event.
func (s *session) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		fmt.Fprintf(&b, "\n%s %s %s %s %s %v", e.Kind, e.Service, e.Revision, e.Message, e.Error, e.Files)
	}
	return b.String()
}

func (s *session) count(kind event.Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, e := range s.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

func (s *session) answers(service, want string) {
	s.t.Helper()
	if got := s.box.Answer(s.namespace, service); got != want {
		s.t.Errorf("%s answers %q, want %q%s", service, got, want, s.told())
	}
}

// says is a program that prints a word and, where it is set, $TARGET.
func says(word string) string {
	return fmt.Sprintf("package main\n\nimport \"os\"\n\nfunc main() {\n\tos.Stdout.WriteString(%q + os.Getenv(\"TARGET\"))\n}\n", word)
}

// TestARegistryThatGoesAway: of a registry of the user's is said what it did and
// what to do, it is none of the box's doing, and what was live goes on.
func TestARegistryThatGoesAway(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	p := newPlace(t)
	p.registry.Keychain = authn.DefaultKeychain
	root := project(t, map[string]string{"hello/main.go": says("0")})
	s, mark := p.begin(false, "hello"), 0
	s.wait(&mark, event.Watching)
	p.images.Close()
	save(t, filepath.Join(root, "hello", "main.go"), says("1"))
	warned := s.wait(&mark, event.Warning)
	if want := p.registry.Prefix + " does not answer: "; !strings.HasPrefix(warned.Message, "pushing to ") || !strings.Contains(warned.Message, want) {
		t.Errorf("told %q, want %q", warned.Message, want)
	}
	if want := "look whether it runs, its name is right, and it is in reach from here; the next save tries again"; warned.Hint != want {
		t.Errorf("the hint is %q, want %q", warned.Hint, want)
	}
	s.answers("hello", "0")
}

// TestAnEditOfABody is compiled and linked without the go command as soon as it
// is known how, and the events say so.
func TestAnEditOfABody(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"hello/main.go": says("0")})
	s, mark := p.begin(false, "hello"), 0
	if first := s.wait(&mark, event.BuildDone); first.Message != "" {
		t.Errorf("of the first build is told %q", first.Message)
	}
	s.wait(&mark, event.Watching)
	for word, late := 1, time.Now().Add(time.Minute); ; word++ {
		save(t, filepath.Join(root, "hello", "main.go"), says(fmt.Sprint(word)))
		built := s.wait(&mark, event.BuildDone)
		s.wait(&mark, event.RevisionLive)
		s.answers("hello", fmt.Sprint(word))
		if strings.HasPrefix(built.Message, "compiled ") && strings.HasSuffix(built.Message, "/hello and linked") {
			return
		}
		if !strings.HasPrefix(built.Message, "by the go command: what the one before it was made of is not known yet") || time.Now().After(late) {
			t.Fatalf("edit %d is made %q", word, built.Message)
		}
	}
}

// TestADeletedServiceIsMadeAgain: what kubectl deletes while it is followed, before
// and after it is live, is said once, and the next save makes it again.
func TestADeletedServiceIsMadeAgain(t *testing.T) {
	p := newPlace(t)
	main := filepath.Join(project(t, map[string]string{"hello/main.go": says("one")}), "hello", "main.go")
	s, mark := p.begin(false, "hello"), 0
	s.wait(&mark, event.RevisionLive)
	s.wait(&mark, event.Watching)
	remove := func() {
		t.Helper()
		hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}
		if err := s.box.Client.Delete(t.Context(), hello); err != nil {
			t.Fatal(err)
		}
		e := s.wait(&mark, event.ServiceDeleted)
		if !strings.Contains(e.Message, "somebody has deleted") || !strings.Contains(e.Hint, "the next save makes it again") {
			t.Errorf("told %+v", e)
		}
		for _, children := range []client.Object{&servingv1.Revision{}, &corev1.Pod{}} { // which garbage collection does
			if err := s.box.Client.DeleteAllOf(t.Context(), children, client.InNamespace(s.namespace), client.GracePeriodSeconds(0)); err != nil {
				t.Fatal(err)
			}
		}
		s.box.Switch(s.namespace, "hello", "", "")
	}
	remove()
	save(t, main, strings.Replace(says("two"), "func main() {", "func main() {\n\tdefer os.Exit(1)", 1))
	s.wait(&mark, event.RevisionFailed)
	remove() // what waits for a revision to come up after all
	save(t, main, says("three"))
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "three")
	if n := s.count(event.ServiceDeleted); n != 2 {
		t.Errorf("told %d times, want twice%s", n, s.told())
	}
}

// TestARefusedManifest: that the Service before it stays in force is said where
// there is one.
func TestARefusedManifest(t *testing.T) {
	p := newPlace(t)
	labelled := func(value string) string {
		return strings.Replace(fmt.Sprintf(describe, "hello", p.namespace), "metadata:\n", "metadata:\n  labels: {team: "+strconv.Quote(value)+"}\n", 1)
	}
	root := project(t, map[string]string{"hello/main.go": says("one"), "hello/service.yaml": labelled("no label!")})
	manifest := filepath.Join(root, "hello", "service.yaml")
	s, mark := p.begin(false, "hello"), 0
	refused := func(hint string) {
		t.Helper()
		if e := s.wait(&mark, event.Warning); !strings.Contains(e.Message, "hello/service.yaml: ") || e.Hint != hint {
			t.Errorf("told %q with the hint %q, want %q", e.Message, e.Hint, hint)
		}
	}
	refused("the next save tries again")
	save(t, manifest, labelled("blue"))
	s.wait(&mark, event.RevisionLive)
	save(t, manifest, labelled("no label either!"))
	refused("the Service before it stays in force until this is mended")
	if now := s.until(s.ask("hello"), NotLive); now.Part != OfInput || !strings.Contains(now.Reason, "no label either!") {
		t.Errorf("asked: %+v", now)
	}
	s.answers("hello", "oneWorld")
}

// TestADay is a day at work on one service.
func TestADay(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"hello/main.go": says("one")})
	main, manifest := filepath.Join(root, "hello", "main.go"), filepath.Join(root, "hello", "service.yaml")
	s, mark := p.begin(false, "hello"), 0

	live := s.wait(&mark, event.RevisionLive)
	s.answers("hello", "one")
	if live.Revision != "hello-00001" || live.Host != "hello."+s.namespace+".example.com" || names(live.Phases) != "build push pod switch" {
		t.Errorf("the first revision: %+v", live)
	}
	s.wait(&mark, event.Watching)

	save(t, main, says("two"))
	live = s.wait(&mark, event.RevisionLive)
	s.answers("hello", "two")
	if live.Revision != "hello-00002" || fmt.Sprint(live.Files) != "[hello/main.go:6]" || names(live.Phases) != "notice build push pod switch" {
		t.Errorf("an edit: %+v", live)
	}

	// Neither a touch nor another file builds; what is saved after them does.
	builds := s.count(event.BuildStarted)
	save(t, main, says("two"))
	save(t, filepath.Join(root, "hello", "README.md"), "read me")
	save(t, filepath.Join(root, "hello", "main_test.go"), "package main\n")
	save(t, main, "package main\n\nfunc main() { nowhere() }\n")
	failed := s.wait(&mark, event.BuildFailed)
	if want := "hello/main.go:3:15: undefined: nowhere"; failed.Error != want {
		t.Errorf("the compiler's words are %q, want %q", failed.Error, want)
	}
	if n := s.count(event.BuildStarted) - builds; n != 1 {
		t.Errorf("%d builds, want 1%s", n, s.told())
	}
	s.answers("hello", "two")

	save(t, main, says("three"))
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "three")

	save(t, main, strings.Replace(says("x"), "os.Stdout", "panic(\"on purpose\")\n\tos.Stdout", 1))
	crashed := s.wait(&mark, event.RevisionFailed)
	if !strings.Contains(crashed.Error, "exited with code 2") || !strings.Contains(crashed.Error, "on purpose") {
		t.Errorf("the crash: %+v", crashed)
	}
	s.answers("hello", "three")

	// Back to what was good: the same image, another revision.
	save(t, main, says("three"))
	if live = s.wait(&mark, event.RevisionLive); live.Revision != "hello-00005" {
		t.Errorf("after the crash: %+v", live)
	}

	builds = s.count(event.BuildStarted)
	save(t, manifest, strings.Replace(fmt.Sprintf(describe, "hello", s.namespace), "World", "Mars", 1))
	if live = s.wait(&mark, event.RevisionLive); names(live.Phases) != "notice pod switch" {
		t.Errorf("a manifest alone: %+v", live)
	}
	s.answers("hello", "threeMars")
	save(t, manifest, "kind: Nonsense\n")
	s.wait(&mark, event.Warning)
	save(t, manifest, strings.Replace(fmt.Sprintf(describe, "hello", s.namespace), "World", "Venus", 1))
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "threeVenus")
	if n := s.count(event.BuildStarted) - builds; n != 0 {
		t.Errorf("%d builds for the manifest alone, want none", n)
	}

	// A package is imported before it is written.
	save(t, main, strings.Replace(strings.Replace(says("four"), `"os"`, "(\n\t\"os\"\n\t\"example.com/project/word\"\n)", 1), `"four"`, "word.Word", 1))
	s.wait(&mark, event.BuildFailed)
	save(t, filepath.Join(root, "word", "word.go"), "package word\n\nconst Word = \"four\"\n")
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "fourVenus")
	save(t, filepath.Join(root, "word", "word.go"), "package word\n\nconst Word = \"five\"\n")
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "fiveVenus")

	if err := os.Rename(filepath.Join(root, "hello"), filepath.Join(root, "away")); err != nil {
		t.Fatal(err)
	}
	if gone := s.wait(&mark, event.Warning); !strings.Contains(gone.Message, "holds no Go files any more") {
		t.Errorf("a folder that went: %+v", gone)
	}
	if err := os.Rename(filepath.Join(root, "away"), filepath.Join(root, "hello")); err != nil {
		t.Fatal(err)
	}
	save(t, main, says("six"))
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "sixVenus")
	if err := s.stop(); err != nil {
		t.Errorf("Run = %v", err)
	}
}

// TestASharedPackage concerns those that import it and no other.
func TestASharedPackage(t *testing.T) {
	p := newPlace(t)
	uses := "package main\n\nimport \"example.com/project/word\"\n\nfunc main() { print(word.Word) }\n"
	root := project(t, map[string]string{
		"a/main.go": uses, "b/main.go": uses, "c/main.go": says("alone"), "word/word.go": "package word\n\nconst Word = \"one\"\n",
	})
	s, mark := p.begin(false, "a", "b", "c"), 0
	s.wait(&mark, event.Watching)
	save(t, filepath.Join(root, "word", "word.go"), "package word\n\nconst Word = \"two\"\n")
	got := []string{s.wait(&mark, event.RevisionLive).Revision, s.wait(&mark, event.RevisionLive).Revision}
	slices.Sort(got)
	if fmt.Sprint(got) != "[a-00002 b-00002]" {
		t.Errorf("new are %v%s", got, s.told())
	}
	s.answers("a", "two")
	s.answers("b", "two")
	s.answers("c", "alone")
	if n := s.count(event.BuildStarted); n != 5 {
		t.Errorf("%d builds, want 5%s", n, s.told())
	}
}

// TestSavesInARow end with the last one live, whatever became of the others: ten
// make one revision or two, since each overtakes the build of the one before.
func TestSavesInARow(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"hello/main.go": says("0")})
	s, mark := p.begin(false, "hello"), 0
	s.wait(&mark, event.Watching)
	for i := 1; i <= 10; i++ {
		save(t, filepath.Join(root, "hello", "main.go"), says(fmt.Sprint(i)))
		s.wait(&mark, event.Changed)
	}
	s.until(s.ask("hello"), Live)
	s.answers("hello", "10")
	if n := s.count(event.RevisionNew); n < 2 || n > 3 {
		t.Errorf("%d revisions, want the first, and one or two%s", n, s.told())
	}
	if n := s.count(event.BuildFailed) + s.count(event.Warning); n != 0 {
		t.Errorf("an overtaken build counts as a failure%s", s.told())
	}
}

func TestOnce(t *testing.T) {
	const impatient = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: hello\nspec:\n  template:\n    metadata:\n      annotations:\n" +
		"        serving.knative.dev/progress-deadline: 1s\n    spec:\n      containers:\n        - image: ko://example.com/project/hello\n"
	for name, c := range map[string]struct {
		main  string
		check func(error) bool
	}{
		"live": {says("one"), func(err error) bool { return err == nil }},
		"crashes at first": {
			"package main\n\nimport \"os\"\n\nfunc main() {\n\tif os.Mkdir(" + strconv.Quote(filepath.Join(t.TempDir(), "database")) + ", 0o700) == nil {\n\t\tos.Exit(1)\n\t}\n}\n",
			func(err error) bool { return err == nil },
		},
		"does not compile": {"package main\n\nfunc main() { nowhere() }\n", func(err error) bool {
			var compile *build.CompileError
			return errors.As(err, &compile)
		}},
		"crashes": {"package main\n\nfunc main() { panic(1) }\n", func(err error) bool {
			var failed *FailedError
			return errors.As(err, &failed) && failed.Revision == "hello-00001"
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			files := map[string]string{"hello/main.go": c.main, "hello/service.yaml": impatient}
			if name == "crashes at first" { // and has time
				delete(files, "hello/service.yaml")
			}
			project(t, files)
			if err := p.begin(true, "hello").stop(); !c.check(err) {
				t.Errorf("Run = %v", err)
			}
		})
	}
}

// TestWhatIsThereIsLeftAlone: a second up finds the revision there already, and asks for no other.
func TestWhatIsThereIsLeftAlone(t *testing.T) {
	p := newPlace(t)
	project(t, map[string]string{"hello/main.go": says("one")})
	s := p.begin(true, "hello")
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	// A person's own label and the status are none of our fields.
	ctx := t.Context()
	service := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "hello"}}
	if err := s.box.Client.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
		t.Fatal(err)
	}
	service.Labels = map[string]string{"mine": "yes"}
	if err := s.box.Client.Update(ctx, service); err != nil {
		t.Fatal(err)
	}
	generation := service.Generation
	again := s.begin(true, "hello")
	if err := again.stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.box.Client.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
		t.Fatal(err)
	}
	if service.Generation != generation || service.Labels["mine"] != "yes" {
		t.Errorf("generation %d, labels %v; want %d and the person's own", service.Generation, service.Labels, generation)
	}
	mark := 0
	if live := again.wait(&mark, event.RevisionLive); live.Revision != "hello-00001" {
		t.Errorf("live is %s", live.Revision)
	}
	var pods corev1.PodList
	if err := s.box.Client.List(ctx, &pods, client.InNamespace(s.namespace)); err != nil || len(pods.Items) != 1 {
		t.Errorf("%d pods, %v", len(pods.Items), err)
	}
}

func names(phases []event.Phase) string {
	var all []string
	for _, p := range phases {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}
