package tail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// node serves the little of the Kubernetes API that a tailer asks for: pods
// as a list and as a watch, and what their containers have written.
type node struct {
	selector string // of the last question for pods
	pods     []corev1.Pod
	logs     map[string]string      // by pod/container
	news     chan corev1.Pod        // changes, for the watch
	written  map[string]chan string // by pod/container: more lines, for a follower
}

func (n *node) client(t *testing.T) kubernetes.Interface {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/pods", n.servePods)
	mux.HandleFunc("GET /api/v1/namespaces/{namespace}/pods/{pod}/log", n.serveLog)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := kubernetes.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (n *node) servePods(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	n.selector = r.FormValue("labelSelector")
	if r.FormValue("watch") == "" {
		_ = json.NewEncoder(w).Encode(corev1.PodList{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "PodList"},
			ListMeta: metav1.ListMeta{ResourceVersion: "1"},
			Items:    n.pods,
		})
		return
	}
	send := func(kind string, pod corev1.Pod) {
		pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
		pod.ResourceVersion = "1"
		_ = json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": pod})
		w.(http.Flusher).Flush()
	}
	if r.FormValue("sendInitialEvents") == "true" {
		for _, pod := range n.pods {
			send("ADDED", pod)
		}
		send("BOOKMARK", corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Annotations: map[string]string{metav1.InitialEventsAnnotationKey: "true"},
		}})
	}
	for {
		select {
		case pod := <-n.news:
			send("MODIFIED", pod)
		case <-r.Context().Done():
			return
		}
	}
}

func (n *node) serveLog(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("pod") + "/" + r.FormValue("container")
	text, ok := n.logs[name]
	if !ok {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"},
			Status:   metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: http.StatusNotFound,
		})
		return
	}
	fmt.Fprint(w, text)
	if r.FormValue("follow") != "true" {
		return
	}
	w.(http.Flusher).Flush()
	for {
		select {
		case line := <-n.written[name]:
			fmt.Fprint(w, line)
			w.(http.Flusher).Flush()
		case <-r.Context().Done():
			return
		}
	}
}

// pod is one of hello's, whose containers run, each in its n-th life.
func pod(name, revision string, age int, containers ...string) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: "default", UID: "uid-" + "x",
		Labels:            map[string]string{servingv1.ServiceLabel: "hello", servingv1.RevisionLabel: revision},
		CreationTimestamp: metav1.Unix(int64(1000-age), 0),
	}}
	for _, container := range containers {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name: container, ContainerID: "containerd://" + name + container,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		})
	}
	return p
}

func TestLogsOfAllRevisionsOldestFirst(t *testing.T) {
	waiting := pod("hello-00003-deployment-ccccc", "hello-00003", 1, "user-container")
	waiting.Status.ContainerStatuses[0].State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}
	n := &node{
		pods: []corev1.Pod{
			pod("hello-00002-deployment-bbbbb", "hello-00002", 2, "user-container", "queue-proxy"),
			waiting,
			pod("hello-00001-deployment-aaaaa", "hello-00001", 3, "web", "queue-proxy"),
			pod("hello-00001-deployment-gone", "hello-00001", 0, "user-container"),
		},
		logs: map[string]string{
			"hello-00001-deployment-aaaaa/web":            "one\ntwo\n",
			"hello-00001-deployment-aaaaa/queue-proxy":    "ready\n",
			"hello-00002-deployment-bbbbb/user-container": "three\nno end",
			"hello-00002-deployment-bbbbb/queue-proxy":    "",
		},
	}
	for _, test := range []struct {
		queue bool
		want  string
	}{
		{false, "hello-00001/aaaaa | one\nhello-00001/aaaaa | two\nhello-00002/bbbbb | three\nhello-00002/bbbbb | no end\n"},
		{true, "hello-00001/aaaaa web | one\nhello-00001/aaaaa web | two\nhello-00001/aaaaa queue-proxy | ready\n" +
			"hello-00002/bbbbb user-container | three\nhello-00002/bbbbb user-container | no end\n"},
	} {
		var out bytes.Buffer
		tail := &Tailer{Client: n.client(t), Selector: servingv1.ServiceLabel + "=hello", Queue: test.queue, Tell: func(l Line) {
			fmt.Fprintf(&out, "%s | %s\n", l.From(test.queue), l.Text)
		}}
		if err := tail.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, out.String()); diff != "" {
			t.Errorf("queue %v (-want +got):\n%s", test.queue, diff)
		}
		if n.selector != "serving.knative.dev/service=hello" {
			t.Errorf("asked for pods by %q", n.selector)
		}
	}
}

func TestLogsFollowPodsAsTheyComeAndRestart(t *testing.T) {
	first := pod("hello-00001-deployment-aaaaa", "hello-00001", 3, "user-container")
	second := pod("hello-00002-deployment-bbbbb", "hello-00002", 2, "user-container")
	restarted := *second.DeepCopy()
	restarted.Status.ContainerStatuses[0].ContainerID += "again"
	n := &node{
		pods: []corev1.Pod{first},
		logs: map[string]string{
			first.Name + "/user-container":  "first\n",
			second.Name + "/user-container": "second\n",
		},
		news:    make(chan corev1.Pod),
		written: map[string]chan string{first.Name + "/user-container": make(chan string)},
	}
	out := &lineLog{added: make(chan struct{}, 100)}
	tail := &Tailer{Client: n.client(t), Selector: servingv1.ServiceLabel, Follow: true, Tell: func(l Line) {
		fmt.Fprintf(out, "%s | %s\n", l.From(false), l.Text)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tail.Run(ctx) }()

	out.await(t, "hello-00001/aaaaa | first")
	n.news <- second
	out.await(t, "hello-00002/bbbbb | second")
	n.news <- second // nothing new: it is read already
	n.news <- restarted
	out.await(t, "hello-00002/bbbbb | second", "hello-00002/bbbbb | second")
	n.written[first.Name+"/user-container"] <- "more of the first\n"
	out.await(t, "hello-00001/aaaaa | more of the first")
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if got := len(out.lines); got != 4 {
		t.Errorf("%d lines, want 4:\n%s", got, strings.Join(out.lines, "\n"))
	}
}

// lineLog keeps lines and says when one comes.
type lineLog struct {
	mu    sync.Mutex
	lines []string
	added chan struct{}
}

func (l *lineLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSuffix(string(p), "\n"))
	l.added <- struct{}{}
	return len(p), nil
}

// await waits until each of some lines is there as often as it is named.
func (l *lineLog) await(t *testing.T, want ...string) {
	t.Helper()
	for {
		l.mu.Lock()
		missing := slices.Clone(want)
		for _, line := range l.lines {
			if at := slices.Index(missing, line); at >= 0 {
				missing = slices.Delete(missing, at, at+1)
			}
		}
		l.mu.Unlock()
		if len(missing) == 0 {
			return
		}
		select {
		case <-l.added:
		case <-t.Context().Done():
			t.Fatalf("no sign of %q", missing)
		}
	}
}
