//go:build e2e

package chaos

import (
	"context"
	"flag"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerlog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

var steady = flag.Duration("steady", time.Minute, "how long the steady load lasts")

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
	dir := box.Program(t, "subject")
	w := &world{Box: b, main: filepath.Join(dir, "main.go"), up: b.Up(dir), word: "one"}
	w.revision = w.up.Wait("the first revision", soon, live).Revision
	w.api = w.serving(t)
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
	api      client.Client
	main     string // the service's source
	word     string // in it
	revision string // that answers
}

const subject = "subject.default.example.com"

// serving is a client of the box's API server for the kinds of serving.
func (w *world) serving(t *testing.T) client.Client {
	t.Helper()
	controllerlog.SetLogger(logr.Discard()) // it asks for one, and has nothing to say
	kinds := runtime.NewScheme()
	if err := servingv1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(w.REST(), client.Options{Scheme: kinds})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

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
		if r := newCaller(w.Box, subject, "/").send(at); !r.ok() || r.revision() != w.revision {
			t.Errorf("after the edit: %s; want an answer of %s", r, w.revision)
		}
		return at
	}
}

// service makes a service of the subject's image, gone when t ends, and
// returns its host when it answers.
func (w *world) service(t *testing.T, name string, concurrency int64, annotations map[string]string) string {
	t.Helper()
	var model servingv1.Service
	if err := w.api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "subject"}, &model); err != nil {
		t.Fatal(err)
	}
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: model.Namespace, Name: name}}
	s.Spec.Template.Annotations = map[string]string{}
	for key, value := range maps.All(annotations) {
		s.Spec.Template.Annotations["autoscaling.knative.dev/"+key] = value
	}
	s.Spec.Template.Spec.ContainerConcurrency = &concurrency
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: model.Spec.Template.Spec.Containers[0].Image}}
	if err := w.api.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.api.Delete(context.WithoutCancel(t.Context()), s); err != nil {
			t.Error(err)
		}
	})
	host := name + ".default.example.com"
	c := newCaller(w.Box, host, "/")
	eventually(t, name+" answers", func() bool { return c.send(time.Now()).ok() })
	return host
}

// pods are those of a service, or of a part of the stack.
func (w *world) pods(t *testing.T, namespace, selector string) []corev1.Pod {
	t.Helper()
	list, err := w.Kubernetes().CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// ready are those pods that are, and stay.
func (w *world) ready(t *testing.T, namespace, selector string) []corev1.Pod {
	t.Helper()
	var ready []corev1.Pod
	for _, p := range w.pods(t, namespace, selector) {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				ready = append(ready, p)
			}
		}
	}
	return ready
}

func of(service string) string { return servingv1.ServiceLabel + "=" + service }

// zero waits until a service has no pod.
func (w *world) zero(t *testing.T, service string) {
	t.Helper()
	eventually(t, service+" has no pod", func() bool { return len(w.pods(t, "default", of(service))) == 0 })
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is still not so that %s", soon, what)
		}
	}
}
