//go:build e2e

package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestManifests lives a day with what is in a directory beside a service, on kind
// also with a program that has no service at all, examples/istio-only, and at last
// with a debugger.
func TestManifests(t *testing.T) {
	b := box.New(t, "devbox-applied")
	dir := box.Project(t, "hello")
	m := &manifests{Box: b, dir: dir, main: filepath.Join(dir, "main.go")}
	m.write(t)
	m.up = b.Up("--port", "18082", dir)
	stories := []story{
		{"a service starts with the ConfigMap beside it", m.begin},
		{"a ConfigMap alone compiles nothing and makes no revision", m.mapAlone},
		{"an edit makes a new pod beside the service", m.edit},
		{"what leaves the files leaves the box, and nothing else does", m.remove},
		{"a kind that the box does not know hurts nobody", m.unknown},
		{"status and logs know the objects", m.reports},
	}
	if b.Engine() == "kind" {
		stories = append(stories, story{"Istio alone", m.istioOnly})
	}
	stories = append(stories, story{"a debugger stops a service, and finds it again after a save", m.debug})
	for _, s := range stories {
		if !t.Run(s.name, s.tell) {
			t.FailNow()
		}
	}
}

type story struct {
	name string
	tell func(*testing.T)
}

// manifests is what the stories hand to each other.
type manifests struct {
	*box.Box
	up        *box.Session
	dir, main string
}

const (
	wordMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata: {target: Mars}\n"
	secret  = "apiVersion: v1\nkind: Secret\nmetadata: {name: secrets}\nstringData: {target: Venus}\n"
	besides = `apiVersion: v1
kind: Pod
metadata: {name: beside}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: hello
      image: ko://example.com/hello
      env:
        - {name: PORT, value: "18083"}
        - name: TARGET
          valueFrom: {secretKeyRef: {name: secrets, key: target}}
`
	service = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec:
  template:
    spec:
      containers:
        - image: ko://example.com/hello
          env:
            - name: TARGET
              valueFrom: {configMapKeyRef: {name: words, key: target}}
`
)

func (m *manifests) write(t *testing.T) {
	box.Write(t, filepath.Join(m.dir, "service.yaml"), wordMap+"---\n"+service)
	box.Write(t, filepath.Join(m.dir, "beside.yml"), secret+"---\n"+besides)
	box.Write(t, filepath.Join(m.dir, "docker-compose.yaml"), "services: {}\n")
}

func objectsLive(e event.Event) bool { return e.Kind == event.ObjectsLive }

// word is what the ConfigMap says in the box, and empty if it is not there.
func (m *manifests) word(t *testing.T) string {
	t.Helper()
	words, err := m.Kubernetes().CoreV1().ConfigMaps("default").Get(t.Context(), "words", metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return words.Data["target"]
}

func (m *manifests) pod(t *testing.T) *corev1.Pod {
	t.Helper()
	pod, err := m.Kubernetes().CoreV1().Pods("default").Get(t.Context(), "beside", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func (m *manifests) answers(t *testing.T, name, want string) {
	t.Helper()
	status, body, err := m.Get(name, "/")
	if err != nil || status != http.StatusOK || strings.TrimSpace(body) != want {
		t.Fatalf("GET %s: status %d, body %q, error %v; want 200 %q", name, status, body, err, want)
	}
}

func (m *manifests) begin(t *testing.T) {
	m.up.Wait("the objects", soon, objectsLive)
	m.up.Wait("the first revision", soon, live)
	m.answers(t, host, "Hello Mars!")
	if image := m.pod(t).Spec.Containers[0].Image; !strings.Contains(image, "@sha256:") {
		t.Errorf("the pod's image is %s, want one by digest", image)
	}
	left := m.up.Wait("what was left out", soon, func(e event.Event) bool { return e.Kind == event.Note && strings.HasPrefix(e.Message, "not applied") })
	if !strings.Contains(left.Message, "docker-compose.yaml: it is no Kubernetes object") {
		t.Errorf("left out: %s", left.Message)
	}
}

func (m *manifests) mapAlone(t *testing.T) {
	mark := m.up.Mark()
	box.Edit(t, filepath.Join(m.dir, "service.yaml"), "target: Mars", "target: Moon")
	e := m.up.WaitAfter(mark, "the ConfigMap", soon, objectsLive)
	if m.word(t) != "Moon" {
		t.Errorf("the ConfigMap says %q", m.word(t))
	}
	for _, p := range e.Phases {
		if p.Name == "build" {
			t.Errorf("a ConfigMap was built: %v", e.Phases)
		}
	}
	m.answers(t, host, "Hello Mars!") // a container keeps the environment that it started with
}

func (m *manifests) edit(t *testing.T) {
	before, mark := m.pod(t), m.up.Mark()
	box.Edit(t, m.main, `"Hello `, `"Howdy `)
	m.up.WaitAfter(mark, "the new revision", soon, func(e event.Event) bool { // of the story before, service.yaml may be told of yet
		return live(e) && strings.Contains(strings.Join(e.Files, " "), "main.go")
	})
	e := m.up.WaitAfter(mark, "the new pod", soon, objectsLive)
	t.Logf("the pod was live in %s %v", e.Duration, e.Phases)
	m.answers(t, host, "Howdy Moon!")
	if now := m.pod(t); now.UID == before.UID || now.Spec.Containers[0].Image == before.Spec.Containers[0].Image {
		t.Errorf("the pod is the one before, with the image %s", now.Spec.Containers[0].Image)
	}
}

func (m *manifests) remove(t *testing.T) {
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "theirs"}}
	maps := m.Kubernetes().CoreV1().ConfigMaps("default")
	if _, err := maps.Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	mark := m.up.Mark()
	box.Write(t, filepath.Join(m.dir, "beside.yml"), secret)
	e := m.up.WaitAfter(mark, "the pod's removal", soon, func(e event.Event) bool { return e.Kind == event.ObjectRemoved })
	if e.Object != "Pod beside" {
		t.Errorf("removed %s", e.Object)
	}
	box.Eventually(t, "the pod is gone", func() bool {
		_, err := m.Kubernetes().CoreV1().Pods("default").Get(t.Context(), "beside", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if _, err := maps.Get(t.Context(), "theirs", metav1.GetOptions{}); err != nil || m.word(t) != "Moon" {
		t.Errorf("somebody's ConfigMap: %v; the directory's says %q", err, m.word(t))
	}
	m.answers(t, host, "Howdy Moon!")
}

func (m *manifests) unknown(t *testing.T) {
	mark := m.up.Mark()
	file := filepath.Join(m.dir, "thing.yaml")
	box.Write(t, file, "# a thing\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: one}\n---\n"+strings.Replace(wordMap, "words", "more", 1))
	e := m.up.WaitAfter(mark, "the refusal", soon, func(e event.Event) bool { return e.Kind == event.ObjectFailed })
	for _, want := range []string{"thing.yaml:2: Thing one: ", m.Engine() + " engine", "example.com/v1"} {
		if !strings.Contains(e.Error, want) {
			t.Errorf("the refusal is %q, which does not say %q", e.Error, want)
		}
	}
	m.up.WaitAfter(mark, "the object beside it", soon, func(e event.Event) bool {
		return e.Kind == event.ObjectApplied && e.Object == "ConfigMap more"
	})
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	m.up.WaitAfter(mark, "its removal", soon, func(e event.Event) bool { return e.Kind == event.ObjectRemoved })
}

func (m *manifests) reports(t *testing.T) {
	out, code := m.Run("status", "-o", "json")
	var status struct {
		Objects []struct{ Kind, Name, Directory string }
	}
	if err := json.Unmarshal([]byte(out), &status); code != 0 || err != nil {
		t.Fatalf("status: exit %d, %v\n%s", code, err, out)
	}
	var names []string
	for _, o := range status.Objects {
		names = append(names, o.Kind+" "+o.Name)
	}
	if got := strings.Join(names, ", "); got != "ConfigMap words, Secret secrets" {
		t.Errorf("status has %s", got)
	}
}

// istioOnly is the example, with the program that this test may edit.
func (m *manifests) istioOnly(t *testing.T) {
	if code := m.up.Interrupt(); code != 0 {
		t.Errorf("Ctrl-C: exit %d", code)
	}
	dir := filepath.Join(m.dir, "istio-only")
	if err := os.CopyFS(dir, os.DirFS("../../examples/istio-only")); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"plain.yaml", "sidecar.yaml"} {
		box.Edit(t, filepath.Join(dir, file), "ko://github.com/kind-in-a-box/devbox/examples/hello", "ko://example.com/hello")
	}
	m.up = m.Up("--port", "18082", dir)
	up := m.up
	up.Wait("the objects", 2*soon, objectsLive)
	const plain, sidecar = "istio-only.example.com", "istio-only-sidecar.example.com"
	box.Eventually(t, "the gateway leads to both", func() bool {
		one, _, errOne := m.Get(plain, "/")
		other, _, errOther := m.Get(sidecar, "/")
		return errOne == nil && errOther == nil && one == http.StatusOK && other == http.StatusOK
	})
	m.answers(t, plain, "Howdy Istio!")
	m.answers(t, sidecar, "Howdy Sidecar!")
	m.containers(t, "app=istio-only", 1)
	m.containers(t, "app=istio-only-sidecar", 2)

	mark := up.Mark()
	box.Edit(t, m.main, `"Howdy `, `"Hej `)
	e := up.WaitAfter(mark, "both rolled out", 2*soon, objectsLive)
	t.Logf("both were live in %s %v", e.Duration, e.Phases)
	m.answers(t, plain, "Hej Istio!")
	m.answers(t, sidecar, "Hej Sidecar!")

	out, code := m.Run("load", "--host", plain, "--rate", "20/s", "--duration", "2s", "-o", "json")
	if code != 0 || !strings.Contains(out, `"200": 40`) {
		t.Errorf("load --host: exit %d\n%s", code, out)
	}
	if out, code := m.Run("logs", "istio-only"); code != 0 || !strings.Contains(out, "greeting Istio on port 8080") {
		t.Errorf("logs of a Deployment: exit %d\n%s", code, out)
	}

	mark = up.Mark()
	content, err := os.ReadFile(filepath.Join(dir, "sidecar.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(content), "---\napiVersion: networking.istio.io/v1")
	box.Write(t, filepath.Join(dir, "sidecar.yaml"), before)
	e = up.WaitAfter(mark, "the VirtualService's removal", soon, func(e event.Event) bool { return e.Kind == event.ObjectRemoved })
	if e.Object != "VirtualService istio-only-sidecar" {
		t.Errorf("removed %s", e.Object)
	}
	box.Eventually(t, "the gateway knows the host no more", func() bool {
		status, _, err := m.Get(sidecar, "/")
		return err == nil && status == http.StatusNotFound
	})
	m.answers(t, plain, "Hej Istio!")
	m.answers(t, host, "Howdy Moon!") // the service of the session before
}

// containers counts those that run in a pod's life, sidecars among them.
func (m *manifests) containers(t *testing.T, selector string, want int) {
	t.Helper()
	for _, pod := range m.ReadyPodsOf("default", selector) {
		running := 0
		for _, c := range append(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses...) {
			if c.State.Running != nil {
				running++
			}
		}
		if running != want {
			t.Errorf("pod %s has %d containers that run, want %d", pod.Name, running, want)
		}
	}
}
