package watcher

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
	"github.com/kind-in-a-box/devbox/watcher/dotenv"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// TestVariables: a .env gives a service variables, which a save of it changes
// without a build, a mistake in it does not, and its end takes away. What the
// manifest says of a variable counts before it.
func TestVariables(t *testing.T) {
	p := newPlace(t)
	service := "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: hello\n  namespace: " + p.namespace +
		"\nspec:\n  template:\n    spec:\n      containers:\n      - image: ko://example.com/project/hello\n"
	root := project(t, map[string]string{"hello/main.go": says("hello"), "hello/service.yaml": service, "hello/.env": "TARGET= one secret\n"})
	file := filepath.Join(root, "hello", ".env")
	s, mark := p.begin(false, "hello"), 0
	said := 0
	if note := s.wait(&said, event.Note); note.Message != ".env gives it TARGET" || note.Service != "hello" {
		t.Errorf("said is %q of %s", note.Message, note.Service)
	}
	s.wait(&mark, event.Watching)
	s.answers("hello", "helloone secret")

	save(t, file, "TARGET=two\n")
	if e := s.wait(&mark, event.RevisionLive); e.Revision != "hello-00002" || len(e.Files) != 1 || e.Files[0] != "hello/.env:1" {
		t.Errorf("%s is live of %v", e.Revision, e.Files)
	}
	s.answers("hello", "hellotwo")

	save(t, file, "TARGET=\"secret\n")
	if e := s.wait(&mark, event.Warning); !strings.HasPrefix(e.Message, "hello/.env:") || strings.Contains(e.Message, "secret") {
		t.Errorf("a mistake is told as %q", e.Message)
	}
	s.answers("hello", "hellotwo")

	save(t, filepath.Join(root, "hello", "service.yaml"), service+"        env: [{name: TARGET, value: three}]\n")
	save(t, file, "TARGET=two\n")
	s.until(s.ask("hello"), Live)
	s.answers("hello", "hellothree")

	save(t, file, "TARGET=two\nOTHER=1\n")
	s.until(s.ask("hello"), Live)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	s.until(s.ask("hello"), Live)

	save(t, file, "OTHER=2\n")
	s.until(s.ask("hello"), Live)
	if err := errors.Join(os.Remove(file), os.Mkdir(file, 0o700)); err != nil { // as a Python environment
		t.Fatal(err)
	}
	s.until(s.ask("hello"), Live)
	if n := s.count(event.BuildDone); n != 1 {
		t.Errorf("%d builds, want the first alone%s", n, s.told())
	}
	for _, secret := range []string{"secret", "one secret"} {
		if strings.Contains(s.told(), secret) {
			t.Errorf("a value is told%s", s.told())
		}
	}
}

// TestVariablesOfAMistake: a box is not touched for it.
func TestVariablesOfAMistake(t *testing.T) {
	project(t, map[string]string{"hello/main.go": program, "hello/.env": "A=1\nTOKEN\n"})
	targets, _, err := Discover(t.Context(), []string{"hello"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = WithVariables(targets)
	if wrong, ok := errors.AsType[*dotenv.Error](err); !ok || wrong.File != "hello/.env" || wrong.Line != 2 {
		t.Errorf("%v", err)
	}
}

// TestWritten: manifests of no directory are applied, belong to nobody, and take
// over what a directory has applied.
func TestWritten(t *testing.T) {
	p := newPlace(t)
	text := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words, namespace: " + p.namespace + "}\ndata: {word: "
	project(t, map[string]string{"words/map.yaml": text + "one}\n"})
	if err := p.begin(true, "words").stop(); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"two", "three"} {
		set := manifest.Decode([]manifest.File{{Path: "stdin", Data: []byte(text + word + "}\n")}})
		if err := p.beginWith(true, []Target{Written("stdin", set)}).stop(); err != nil {
			t.Fatal(err)
		}
		var now corev1.ConfigMap
		if err := bed.Start(t).Client().Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "words"}, &now); err != nil {
			t.Fatal(err)
		}
		if now.Data["word"] != word || now.Labels[deploy.OwnerLabel] != "" || now.Annotations[deploy.DirectoryAnnotation] != "" {
			t.Errorf("the map is %v, with labels %v and annotations %v", now.Data, now.Labels, now.Annotations)
		}
	}
}

// TestWrittenWithAMistake: nothing of it is applied, wherever the mistake is. What
// only the document before makes right is none.
func TestWrittenWithAMistake(t *testing.T) {
	p := newPlace(t)
	second := func(namespace, text string) error {
		first := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + p.namespace + "-new}\n"
		set := manifest.Decode([]manifest.File{{Path: "stdin", Data: []byte(first + "---\n" + strings.ReplaceAll(text, "NAMESPACE", namespace))}})
		return p.beginWith(true, []Target{Written("stdin", set)}).stop()
	}
	there := func() bool {
		err := bed.Start(t).Client().Get(t.Context(), client.ObjectKey{Name: p.namespace + "-new"}, &corev1.Namespace{})
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return err == nil
	}
	for mistake, text := range map[string]string{
		"metadata.name":     "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Words, namespace: NAMESPACE}\n",
		"datum":             "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words, namespace: NAMESPACE}\ndatum: {word: one}\n",
		"kind Nothing":      "apiVersion: example.com/v1\nkind: Nothing\nmetadata: {name: words, namespace: NAMESPACE}\n",
		"spec.containers":   "apiVersion: v1\nkind: Pod\nmetadata: {name: words, namespace: NAMESPACE}\nspec: {containers: []}\n",
		"spec.template.foo": "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: words, namespace: NAMESPACE}\nspec: {template: {foo: 1, spec: {containers: [{image: example.com/words}]}}}\n",
	} {
		if err := second(p.namespace, text); err == nil || !strings.Contains(err.Error(), mistake) || !strings.Contains(err.Error(), "stdin:") {
			t.Errorf("%s: %v", mistake, err)
		}
		if there() {
			t.Fatalf("%s: the document before it was applied", mistake)
		}
	}
	if err := second(p.namespace+"-new", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words, namespace: NAMESPACE}\n"); err != nil || !there() {
		t.Errorf("a right one: %v", err)
	}
}
