package conformance

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// soon is time enough for what takes seconds on a quiet machine.
const soon = 3 * time.Minute

// trial is one behaviour being tried, on a service of its own.
type trial struct {
	*testing.T
	*subject
	name string // of the service
}

// subject is the box that is tried.
type subject struct {
	box        *box.Box
	api        client.Client
	kubernetes kubernetes.Interface
	dynamic    dynamic.Interface
	image      string // of program
}

type change = func(*servingv1.Service)

// describe is the service as it is asked for.
func (t *trial) describe(changes ...change) *servingv1.Service {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: t.name}}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: t.image}}
	for _, c := range changes {
		c(s)
	}
	return s
}

// create makes the service, which is gone when the trial ends.
func (t *trial) create(changes ...change) {
	t.Helper()
	s := t.describe(changes...)
	if err := t.api.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := t.api.Delete(context.WithoutCancel(t.Context()), s); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
}

// refused expects the service not to be taken, for a reason with these words.
func (t *trial) refused(words string, changes ...change) {
	t.Helper()
	s := t.describe(changes...)
	err := t.api.Create(t.Context(), s, client.DryRunAll)
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("created: %v; want it refused with %q", err, words)
	}
}

// edit changes the service as it is now.
func (t *trial) edit(changes ...change) {
	t.Helper()
	if err := t.tryEdit(changes...); err != nil {
		t.Fatal(err)
	}
}

func (t *trial) tryEdit(changes ...change) error {
	t.Helper()
	s := t.service()
	before := s.DeepCopy()
	for _, c := range changes {
		c(s)
	}
	return t.api.Patch(t.Context(), s, client.MergeFrom(before))
}

// get reads an object of the service's namespace.
func get[T client.Object](t *trial, into T, name string) T {
	t.Helper()
	if err := t.api.Get(t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func (t *trial) service() *servingv1.Service {
	t.Helper()
	return get(t, &servingv1.Service{}, t.name)
}

// until waits for something to be so.
func (t *trial) until(what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !so(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it has not come to this: %s\n%s", what, t.state())
		}
	}
}

// state is the service's status, for a trial that fails.
func (t *trial) state() string {
	var s servingv1.Service
	if err := t.api.Get(t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: t.name}, &s); err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, c := range s.Status.Conditions {
		fmt.Fprintf(&b, "%s %s\n", c.Type, say(&c))
	}
	return b.String()
}

// ready waits until the service is ready as it is now.
func (t *trial) ready() *servingv1.Service {
	t.Helper()
	t.until("the service is ready", func() bool { return t.service().IsReady() })
	return t.service()
}

// say is a condition in a line.
func say(c *servingv1.Condition) string {
	if c == nil {
		return "none"
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", c.Status, c.Reason, c.Message))
}

// comes waits for a condition of an object to be as want begins.
func comes[T client.Object](t *trial, object T, name string, status func(T) *servingv1.Status, condition servingv1.ConditionType, want string) {
	t.Helper()
	got := "nothing"
	t.until(fmt.Sprintf("%T %s: %s is %s", object, name, condition, want), func() bool {
		if t.api.Get(t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: name}, object) != nil {
			return false
		}
		got = say(status(object).Condition(condition))
		return strings.HasPrefix(got, want)
	})
}

func ofService(s *servingv1.Service) *servingv1.Status             { return &s.Status.Status }
func ofConfiguration(c *servingv1.Configuration) *servingv1.Status { return &c.Status.Status }
func ofRevision(r *servingv1.Revision) *servingv1.Status           { return &r.Status.Status }
func ofRoute(r *servingv1.Route) *servingv1.Status                 { return &r.Status.Status }

func (t *trial) revision(name string) *servingv1.Revision {
	t.Helper()
	return get(t, &servingv1.Revision{}, name)
}

// watchRevision follows a revision from before it is made. What it returns
// waits for the first of its states that is so.
func (t *trial) watchRevision(name string) (first func(func(*servingv1.Revision) bool) *servingv1.Revision) {
	t.Helper()
	return watch[servingv1.Revision](t, "revisions", name)
}

// watchService follows the service in the same way.
func (t *trial) watchService() (first func(func(*servingv1.Service) bool) *servingv1.Service) {
	t.Helper()
	return watch[servingv1.Service](t, "services", t.name)
}

func watch[T any](t *trial, resource, name string) (first func(func(*T) bool) *T) {
	t.Helper()
	states, err := t.dynamic.Resource(servingv1.GroupVersion.WithResource(resource)).Namespace(metav1.NamespaceDefault).
		Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(states.Stop)
	return func(so func(*T) bool) *T {
		t.Helper()
		for late := time.After(soon); ; {
			select {
			case e := <-states.ResultChan():
				u, ok := e.Object.(*unstructured.Unstructured)
				if !ok {
					t.Fatalf("the watch of %s: %v", name, e)
				}
				object := new(T)
				if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, object); err != nil {
					t.Fatal(err)
				}
				if so(object) {
					return object
				}
			case <-late:
				t.Fatalf("%s has not come to this\n%s", name, t.state())
			}
		}
	}
}

// pods are the service's that stay.
func (t *trial) pods() []corev1.Pod {
	t.Helper()
	return slices.DeleteFunc(t.allPods(), func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
}

func (t *trial) allPods() []corev1.Pod {
	t.Helper()
	list, err := t.kubernetes.CoreV1().Pods(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{LabelSelector: box.Of(t.name)})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

// zero waits until the service has no pod, and none that still drains.
func (t *trial) zero() {
	t.Helper()
	t.until("it has no pod", func() bool { return len(t.allPods()) == 0 })
}

// configure sets a key of one of Knative's ConfigMaps, for all of the box, until
// the trial ends.
func (t *trial) configure(configMap, key, value string) {
	t.Helper()
	set := func(ctx context.Context, value string) error {
		patch := fmt.Sprintf(`{"data":{%q:%s}}`, key, value)
		_, err := t.kubernetes.CoreV1().ConfigMaps(servingv1.Namespace).Patch(ctx, configMap, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		return err
	}
	if err := set(t.Context(), strconv.Quote(value)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set(context.WithoutCancel(t.Context()), "null"); err != nil {
			t.Error(err)
		}
	})
}

func (t *trial) host() string { return t.name + ".default.example.com" }

// answer is the gateway's to a request for a host, in words: status and body.
func (t *trial) answer(host, path string, header ...string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, t.box.Gateway+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	words := fmt.Sprintf("%d %s", resp.StatusCode, strings.TrimSpace(string(body)))
	if err != nil {
		words += " cut"
	}
	return words
}

// expect asks for a path of the service and wants this answer.
func (t *trial) expect(path, want string, header ...string) {
	t.Helper()
	if got := t.answer(t.host(), path, header...); got != want {
		t.Errorf("GET %s: %q, want %q", path, got, want)
	}
}

// lines asks for a path and returns what its lines, "name: value" or
// "name=value", say.
func (t *trial) lines(path, separator string, header ...string) map[string]string {
	t.Helper()
	answer := t.answer(t.host(), path, header...)
	status, body, _ := strings.Cut(answer, " ")
	if status != "200" {
		t.Fatalf("GET %s: %s", path, answer)
	}
	all := map[string]string{}
	for line := range strings.Lines(body) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), separator)
		all[name] = strings.TrimSpace(value)
	}
	return all
}

// upgrade opens an upgraded connection of a protocol.
func (t *trial) upgrade(protocol, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(t.box.Gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, t.host(), protocol)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("the upgrade: %v, %v", resp, err)
	}
	return conn, in
}

// hear wants a line of an upgraded connection, "" where it is to have ended.
func (t *trial) hear(in *bufio.Reader, want string) {
	t.Helper()
	line, err := in.ReadString('\n')
	if got := strings.TrimSpace(line); got != want || want == "" && err == nil {
		t.Errorf("heard %q, %v; want %q", got, cmp.Or(err, nil), want)
	}
}

// container is the one container of a service.
func container(s *servingv1.Service) *servingv1.Container { return &s.Spec.Template.Spec.Containers[0] }

// env sets a variable of the container.
func env(name, value string) change {
	return func(s *servingv1.Service) {
		c := container(s)
		c.Env = append(c.Env, servingv1.EnvVar{Name: name, Value: value})
	}
}

// annotated sets an annotation of the template.
func annotated(key, value string) change {
	return func(s *servingv1.Service) {
		if s.Spec.Template.Annotations == nil {
			s.Spec.Template.Annotations = map[string]string{}
		}
		s.Spec.Template.Annotations[key] = value
	}
}

// called sets the revision's name.
func called(name string) change {
	return func(s *servingv1.Service) { s.Spec.Template.Name = name }
}

// traffic sets the targets.
func traffic(targets ...servingv1.TrafficTarget) change {
	return func(s *servingv1.Service) { s.Spec.Traffic = targets }
}
