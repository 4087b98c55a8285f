package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // client-go takes no other
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

// TestExec runs commands in a container: they have its files, its environment and
// its network, and end with it.
func TestExec(t *testing.T) {
	w := newWorld(t, ownNetworks(t))
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)

	var out, words bytes.Buffer
	err := w.exec(t.Context(), pod, remotecommand.StreamOptions{Stdout: &out, Stderr: &words}, "/app", "exit", "3", "on purpose")
	if exit, ok := errors.AsType[exec.CodeExitError](err); !ok || exit.Code != 3 || out.String() != "on purpose\n" || words.Len() > 0 {
		t.Errorf("exit 3: %v, %q, %q", err, &out, &words)
	}
	err = w.exec(t.Context(), pod, remotecommand.StreamOptions{Stdout: &out, Stderr: &words}, "/nowhere")
	if err == nil || !strings.Contains(err.Error(), "no such file in the image") {
		t.Errorf("a program that is not there: %v", err)
	}
	if err := w.exec(t.Context(), pod, remotecommand.StreamOptions{Stdout: &out}, "/app", "write", "/tmp-of-it", "shared"); err != nil {
		t.Error(err)
	}
	if got := w.forwarded(pod, "/file?path=/tmp-of-it"); got != "shared" {
		t.Errorf("the container finds %q in what a command wrote", got)
	}
	out.Reset()
	if err := w.exec(t.Context(), pod, remotecommand.StreamOptions{Stdin: strings.NewReader("said\n"), Stdout: &out}, "/app", "echo"); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"PORT=8080\n", "FROM=image\n", "HOSTNAME=" + pod.Name + "\n", "\nsaid\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("a command's environment and input are %q; want %q in it", &out, want)
		}
	}
	out.Reset()
	err = w.exec(t.Context(), pod, remotecommand.StreamOptions{Stdin: strings.NewReader("typed\n\x04"), Stdout: &out, Tty: true}, "/app", "echo")
	if err != nil || !strings.HasPrefix(out.String(), "typed\r\n") || !strings.HasSuffix(out.String(), "\r\ntyped\r\n") {
		t.Errorf("on a terminal: %v, %q", err, &out)
	}
	w.eventually("the commands' files to go", func() bool { return len(w.commands(t)) == 0 })

	// Its end comes when nobody listens any more.
	ctx, hangUp := context.WithCancel(t.Context())
	said, ended := w.waiting(ctx, pod)
	if line := <-said; line != "waiting" {
		t.Errorf("it says %q", line)
	}
	if got := len(w.commands(t)); got != 1 {
		t.Errorf("%d commands run, want 1", got)
	}
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("a command that is left ends with %v", err)
	}
	w.eventually("a command that nobody listens to any more to end", func() bool { return len(w.commands(t)) == 0 })

	// Or with the pod.
	said, ended = w.waiting(t.Context(), pod)
	<-said
	w.delete(pod, nil)
	if err := <-ended; err == nil {
		t.Error("the end of a pod is a good one of the command in it")
	}
	w.wait(pod, "the pod to be gone", isGone)
	if left := w.commands(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// exec runs a command in the pod's container app.
func (w *world) exec(ctx context.Context, pod *corev1.Pod, streams remotecommand.StreamOptions, command ...string) error {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Get(w.t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	upgrader, err := spdy.NewRoundTripper(w.tls.Clone())
	if err != nil {
		w.t.Fatal(err)
	}
	query := url.Values{"command": command}
	for name, wanted := range map[string]bool{
		"input": streams.Stdin != nil, "output": streams.Stdout != nil, "error": streams.Stderr != nil, "tty": streams.Tty,
	} {
		if wanted {
			query.Set(name, "1")
		}
	}
	executor, err := remotecommand.NewSPDYExecutorForTransports(upgrader, upgrader, http.MethodPost, &url.URL{
		Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", node.Status.DaemonEndpoints.KubeletEndpoint.Port),
		Path: fmt.Sprintf("/exec/%s/%s/app", pod.Namespace, pod.Name), RawQuery: query.Encode(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return executor.StreamWithContext(ctx, streams)
}

// waiting runs a command that has no end, and returns what it says first, and how
// it has ended.
func (w *world) waiting(ctx context.Context, pod *corev1.Pod) (said chan string, ended chan error) {
	said, ended = make(chan string, 1), make(chan error, 1)
	r, stdout := io.Pipe()
	go func() {
		err := w.exec(ctx, pod, remotecommand.StreamOptions{Stdout: stdout}, "/app", "wait")
		_ = stdout.Close()
		ended <- err
	}()
	go func() {
		line := make([]byte, 64)
		n, _ := r.Read(line)
		said <- strings.TrimSpace(string(line[:n]))
		_, _ = io.Copy(io.Discard, r)
	}()
	return said, ended
}

// commands are the records of commands that run in containers.
func (w *world) commands(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(w.dir, "runner", "running", "*-exec-*"))
	if err != nil {
		t.Fatal(err)
	}
	return all
}
