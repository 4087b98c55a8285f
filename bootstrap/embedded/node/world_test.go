package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"

	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/runner"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

// patience is how long a test waits for anything on however busy a machine.
const patience = 60 * time.Second

// world is a running node, the API server it has its pods from, and a
// namespace for them.
type world struct {
	t         testing.TB
	client    kubernetes.Interface
	namespace string
	node      string
	image     string // of testdata/app
	dir       string // of the node and its runner
	tls       *tls.Config
	change    []func(*Config)
	stop      func()
}

func newWorld(t testing.TB, change ...func(*Config)) *world {
	b := bed.Start(t)
	config := b.REST()
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, client: client, namespace: b.Namespace(t), node: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), image: pushApp(t), dir: t.TempDir(), tls: credentials(t), change: change}
	w.start()
	return w
}

// start runs the node until w.stop is called or the test ends.
func (w *world) start() {
	w.t.Helper()
	run, err := runner.New(filepath.Join(w.dir, "runner"), runner.Options{})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ready, done := make(chan struct{}), make(chan error, 1)
	config := Config{
		Name: w.node, REST: bed.Start(w.t).REST(), Runner: run, Dir: filepath.Join(w.dir, "node"), TLS: w.tls,
		Log: slog.New(slog.NewTextHandler(w.t.Output(), nil)), Ready: func() { close(ready) },
	}
	for _, f := range w.change {
		f(&config)
	}
	go func() {
		done <- Run(ctx, config)
	}()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
		if err := run.Close(); err != nil {
			w.t.Errorf("closing the runner: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
	select {
	case <-ready:
	case err := <-done:
		done <- err
		w.t.Fatalf("Run: %v", err)
	}
}

// wait returns the pod when it is as wanted; is gets nil for a pod that is no
// more.
func (w *world) wait(pod *corev1.Pod, what string, is func(*corev1.Pod) bool) *corev1.Pod {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	list := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "pods", pod.Namespace,
		fields.OneTermEqualSelector(metav1.ObjectNameField, pod.Name))
	gone := func(store cache.Store) (bool, error) { return len(store.List()) == 0 && is(nil), nil }
	last := pod
	_, err := watchtools.UntilWithSync(ctx, list, &corev1.Pod{}, gone, func(e watch.Event) (bool, error) {
		seen, ok := e.Object.(*corev1.Pod)
		if !ok {
			return false, nil
		}
		last = seen
		if e.Type == watch.Deleted {
			return is(nil), nil
		}
		return is(seen), nil
	})
	if err != nil {
		w.t.Fatalf("waiting for %s: %v\nthe pod is %+v", what, err, last.Status)
	}
	return last
}

func isReady(pod *corev1.Pod) bool {
	return pod != nil && conditionOf(pod, corev1.PodReady) == corev1.ConditionTrue
}

func isGone(pod *corev1.Pod) bool { return pod == nil }

func conditionOf(pod *corev1.Pod, of corev1.PodConditionType) corev1.ConditionStatus {
	for _, c := range pod.Status.Conditions {
		if c.Type == of {
			return c.Status
		}
	}
	return ""
}

// pod makes a pod of this spec on the node.
func (w *world) pod(spec corev1.PodSpec) *corev1.Pod {
	w.t.Helper()
	spec.NodeName = w.node
	return w.unboundPod(spec)
}

// unboundPod leaves it to the node to take the pod.
func (w *world) unboundPod(spec corev1.PodSpec) *corev1.Pod {
	w.t.Helper()
	if spec.TerminationGracePeriodSeconds == nil {
		spec.TerminationGracePeriodSeconds = new(int64(5))
	}
	for _, all := range [][]corev1.Container{spec.InitContainers, spec.Containers} {
		for i := range all {
			all[i].Image = cmp.Or(all[i].Image, w.image)
		}
	}
	pod, err := w.client.CoreV1().Pods(w.namespace).Create(w.t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-", Labels: map[string]string{"label": "its-value"}}, Spec: spec,
	}, metav1.CreateOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	return pod
}

// delete deletes the pod, with the grace of its spec unless another is given.
func (w *world) delete(pod *corev1.Pod, grace *int64) {
	w.t.Helper()
	err := w.client.CoreV1().Pods(pod.Namespace).Delete(w.t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: grace})
	if err != nil {
		w.t.Fatal(err)
	}
}

// event returns the words of the first event with this reason about the pod.
func (w *world) event(pod *corev1.Pod, reason string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	list := cache.NewListWatchFromClient(w.client.CoreV1().RESTClient(), "events", pod.Namespace,
		fields.Set{"involvedObject.name": pod.Name, "reason": reason}.AsSelector())
	var words string
	_, err := watchtools.UntilWithSync(ctx, list, &corev1.Event{}, nil, func(e watch.Event) (bool, error) {
		if seen, ok := e.Object.(*corev1.Event); ok {
			words = seen.Message
		}
		return words != "", nil
	})
	if err != nil {
		w.t.Fatalf("waiting for an event %s: %v", reason, err)
	}
	return words
}

// serving is a container that listens on its user-port.
func serving(name string) corev1.Container {
	return corev1.Container{
		Name:  name,
		Ports: []corev1.ContainerPort{{Name: "user-port", ContainerPort: 8080}},
		Env:   []corev1.EnvVar{{Name: "PORT", Value: "8080"}},
		ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: "/healthz", Port: intstr.FromString("user-port"),
		}}},
	}
}

// ask asks container of pod, which has a user-port. Where it listens, only
// its environment and its log say.
func (w *world) ask(pod *corev1.Pod, container, path string) string {
	w.t.Helper()
	var port string
	for port == "" {
		_, after, _ := strings.Cut(w.logs(pod, container, "follow=true&limitBytes=18"), "listening on ")
		port = strings.TrimSpace(after)
	}
	return get(w.t, "http://"+net.JoinHostPort(pod.Status.PodIP, port)+path)
}

// logs asks the node's endpoint for a log, as the API server does.
func (w *world) logs(pod *corev1.Pod, container, query string) string {
	w.t.Helper()
	response := w.endpoint(fmt.Sprintf("/containerLogs/%s/%s/%s?%s", pod.Namespace, pod.Name, container, query))
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// endpoint asks the node's endpoint.
func (w *world) endpoint(path string) *http.Response {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Get(w.t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{TLSClientConfig: w.tls, DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet,
		fmt.Sprintf("https://127.0.0.1:%d%s", node.Status.DaemonEndpoints.KubeletEndpoint.Port, path), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		w.t.Fatal(err)
	}
	return response
}

func get(t testing.TB, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// state is the status of the pod's container called name.
func state(pod *corev1.Pod, name string) corev1.ContainerStatus {
	if pod != nil {
		for _, all := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for _, s := range all {
				if s.Name == name {
					return s
				}
			}
		}
	}
	return corev1.ContainerStatus{}
}

// waits says whether a container waits for this reason.
func waits(name, reason string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		w := state(pod, name).State.Waiting
		return w != nil && w.Reason == reason
	}
}

// podFiles are the directories of pods.
func (w *world) podFiles() []os.DirEntry {
	files, err := os.ReadDir(filepath.Join(w.dir, "node", podsDir))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !is() {
		if !proxy.Sleep(ctx, 10*time.Millisecond) {
			w.t.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
	}
}
