package watcher

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// word is what the ConfigMap of a name says now.
func (p *place) word(name string) string {
	p.t.Helper()
	var m corev1.ConfigMap
	switch err := p.box.Client.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: name}, &m); {
	case apierrors.IsNotFound(err):
		return "gone"
	case err != nil:
		p.t.Fatal(err)
	}
	return m.Data["word"]
}

// says is a ConfigMap of the place's namespace.
func (p *place) says(name, word string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata:\n  word: %s\n", name, p.namespace, word)
}

// runs is a Pod of a program.
func (p *place) runs(name, program string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers: [{name: a, image: \"ko://%s\"}]\n", name, p.namespace, program)
}

// ready waits for a pod that has not been seen before, says that it is ready,
// and returns its image.
func (p *place) ready(name string, seen map[string]bool) string {
	p.t.Helper()
	for {
		var pod corev1.Pod
		err := p.box.Client.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: name}, &pod)
		if err == nil && !seen[string(pod.UID)] && pod.DeletionTimestamp == nil {
			seen[string(pod.UID)] = true
			pod.Status.Phase = corev1.PodRunning
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			if err := p.box.Client.Status().Update(p.t.Context(), &pod); err != nil {
				p.t.Fatal(err)
			}
			return pod.Spec.Containers[0].Image
		}
		if p.t.Context().Err() != nil || client.IgnoreNotFound(err) != nil {
			p.t.Fatalf("no pod %s: %v", name, err)
		}
	}
}

// TestADayWithNeighbours: a service with a ConfigMap and a Pod beside it.
func TestADayWithNeighbours(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{
		"hello/main.go": says("one"), "worker/main.go": says("work"), "hello/map.yaml": p.says("words", "one"),
		"hello/docker-compose.yaml": "services: {}\n",
	})
	dir := filepath.Join(root, "hello")
	save(t, filepath.Join(dir, "worker.yaml"), p.runs("worker", "example.com/project/worker"))
	s, mark := p.begin(false, "hello"), 0
	pods := map[string]bool{}
	image := p.ready("worker", pods)
	if !strings.HasPrefix(image, p.registry.Prefix+"/hello/worker@sha256:") {
		t.Errorf("the worker's image is %s", image)
	}
	first := s.wait(&mark, event.Watching)
	if !strings.Contains(first.Message, "1 service and 2 objects") || s.count(event.ObjectsLive) != 1 || s.count(event.RevisionLive) != 1 {
		t.Errorf("watching %q%s", first.Message, s.told())
	}
	if p.word("words") != "one" || !strings.Contains(s.told(), "docker-compose.yaml: it is no Kubernetes object") {
		t.Errorf("words says %s%s", p.word("words"), s.told())
	}

	// A neighbour alone compiles nothing and makes no revision.
	builds, revisions := s.count(event.BuildStarted), s.count(event.RevisionLive)
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "two"))
	live := s.wait(&mark, event.ObjectsLive)
	if p.word("words") != "two" || names(live.Phases) != "notice apply rollout" || fmt.Sprint(live.Files) != "[hello/map.yaml:5]" {
		t.Errorf("words says %s, live %+v", p.word("words"), live)
	}
	if s.count(event.BuildStarted) != builds || s.count(event.RevisionLive) != revisions {
		t.Errorf("a ConfigMap was built or made a revision%s", s.told())
	}

	// A mistake names its place, and leaves both itself and its neighbours.
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "three")+"---\napiVersion: v1\nkind: [\n---\n"+p.says("more", "more"))
	if warned := s.wait(&mark, event.Warning); !strings.HasPrefix(warned.Message, "hello/map.yaml:8: document 2: it is no YAML") {
		t.Errorf("the warning is %q", warned.Message)
	}
	s.wait(&mark, event.ObjectApplied)
	s.wait(&mark, event.ObjectApplied)
	if p.word("words") != "three" || p.word("more") != "more" {
		t.Errorf("words says %s, more says %s", p.word("words"), p.word("more"))
	}
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "four")+"---\napiVersion: v1\nkind: [\n") // more is gone, or is it?
	s.wait(&mark, event.ObjectApplied)
	if p.word("more") != "more" {
		t.Error("an object was removed while one document could not be read")
	}
	if kept, want := s.wait(&mark, event.Warning), "not removed, for it may be in hello/map.yaml, which cannot be read: ConfigMap more"; kept.Message != want {
		t.Errorf("the warning is %q, want %q", kept.Message, want)
	}
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "four"))
	if removed := s.wait(&mark, event.ObjectRemoved); removed.Object != "ConfigMap more" || p.word("more") != "gone" {
		t.Errorf("removed %s, more says %s", removed.Object, p.word("more"))
	}

	// The worker's source makes a new image of the worker's alone.
	save(t, filepath.Join(root, "worker", "main.go"), says("harder"))
	if other := p.ready("worker", pods); other == image {
		t.Errorf("the image is %s still", other)
	}
	live = s.wait(&mark, event.ObjectsLive)
	if names(live.Phases) != "notice build push apply rollout" || s.count(event.RevisionLive) != revisions {
		t.Errorf("live %+v%s", live, s.told())
	}
	save(t, filepath.Join(root, "worker", "main.go"), "package main\n\nfunc main() { nowhere() }\n")
	if failed := s.wait(&mark, event.BuildFailed); failed.Error != "worker/main.go:3:15: undefined: nowhere" {
		t.Errorf("the compiler's words are %q", failed.Error)
	}

	// A file is renamed away and back, as some editors save.
	if err := os.Rename(filepath.Join(dir, "map.yaml"), filepath.Join(dir, "map.yaml~")); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "five"))
	s.wait(&mark, event.ObjectApplied)
	if removed := s.count(event.ObjectRemoved); removed != 1 || p.word("words") != "five" {
		t.Errorf("%d objects removed, words says %s%s", removed, p.word("words"), s.told())
	}
	if err := s.stop(); err != nil {
		t.Errorf("Run = %v", err)
	}

	// What leaves the files while nobody watches goes with the next session.
	if err := os.Remove(filepath.Join(dir, "map.yaml")); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(root, "worker", "main.go"), says("harder"))
	if err := p.begin(true, "hello").stop(); err != nil || p.word("words") != "gone" {
		t.Errorf("Run = %v, words says %s", err, p.word("words"))
	}
}

// TestManifestsAlone: what the box does not know is refused by name and place,
// and the rest is applied.
func TestManifestsAlone(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"elsewhere/map.yaml": p.says("linked", "one")})
	dir := filepath.Join(root, "config")
	save(t, filepath.Join(dir, "way.yaml"), "# a way\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: way}\n")
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "one"))
	if err := os.Symlink(filepath.Join("..", "elsewhere", "map.yaml"), filepath.Join(dir, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	err := p.begin(true, "config").stop()
	failed, ok := errors.AsType[*FailedError](err)
	if want := "config/way.yaml:2: VirtualService way: the embedded engine has no kind VirtualService of networking.istio.io/v1; a box of --engine kind may have it"; !ok || failed.Reason != want || !is[*LackError](err) {
		t.Errorf("Run = %v, want %s", err, want)
	}
	if p.word("words") != "one" || p.word("linked") != "one" {
		t.Errorf("words says %s, linked says %s", p.word("words"), p.word("linked"))
	}

	// What a link leads to is watched where it lies.
	s, mark := p.begin(false, "config"), 0
	s.wait(&mark, event.Watching)
	save(t, filepath.Join(root, "elsewhere", "map.yaml"), p.says("linked", "two"))
	for p.word("linked") != "two" {
		s.wait(&mark, event.ObjectApplied)
	}

	// A folder that goes takes nothing with it.
	if err := os.Rename(dir, filepath.Join(root, "away")); err != nil {
		t.Fatal(err)
	}
	for !strings.Contains(s.wait(&mark, event.Warning).Message, "is not there any more") {
	}
	if p.word("words") != "one" {
		t.Errorf("words says %s", p.word("words"))
	}
	if err := os.Rename(filepath.Join(root, "away"), dir); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "back"))
	for p.word("words") != "back" {
		s.wait(&mark, event.ObjectApplied)
	}

	// What was refused, and so never was, leaves the files without a word.
	for _, file := range []string{"way.yaml", "link.yaml"} {
		if err := os.Remove(filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	s.wait(&mark, event.ObjectRemoved)
	save(t, filepath.Join(dir, "map.yaml"), p.says("words", "after"))
	for p.word("words") != "after" {
		s.wait(&mark, event.ObjectApplied)
	}
	if told := s.told(); strings.Contains(told, "removing") {
		t.Errorf("something that never was is removed:%s", told)
	}
}

func TestAMistakeIsAnOutcome(t *testing.T) {
	p := newPlace(t)
	project(t, map[string]string{"config/map.yaml": p.says("words", "one"), "config/other.yaml": "apiVersion: v1\nkind: [\n"})
	err := p.begin(true, "config").stop()
	if problem, ok := errors.AsType[manifest.Problem](err); !ok || problem.File != "config/other.yaml" {
		t.Errorf("Run = %v", err)
	}
	if p.word("words") != "one" {
		t.Errorf("words says %s", p.word("words"))
	}
}
