package node

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func TestNodeIsRegistered(t *testing.T) {
	w := newWorld(t)
	node, err := w.client.CoreV1().Nodes().Get(t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels[corev1.LabelHostname] != w.node || node.Status.Capacity.Cpu().Value() != int64(runtime.NumCPU()) ||
		node.Status.Capacity.Memory().IsZero() || node.Status.NodeInfo.KernelVersion == "" {
		t.Errorf("got %+v", node)
	}
	if got := node.Annotations[servingv1.PodNetworkAnnotation]; got != servingv1.PodNetworkMachine {
		t.Errorf("the pods' network is said to be %q", got)
	}
	if c := node.Status.Conditions[0]; c.Type != corev1.NodeReady || c.Status != corev1.ConditionTrue {
		t.Errorf("got %+v, want it ready", c)
	}
	w.stop()
	if node, err = w.client.CoreV1().Nodes().Get(t.Context(), w.node, metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if c := node.Status.Conditions[0]; c.Status != corev1.ConditionFalse {
		t.Errorf("after the node's end: got %+v, want it not ready", c)
	}
}

// TestNodeStartsAgain has the pods of an earlier life of the node go on, but
// for what was deleted meanwhile.
func TestNodeStartsAgain(t *testing.T) {
	w := newWorld(t)
	scratch := []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	app := serving("app")
	app.VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
	kept := w.wait(w.pod(corev1.PodSpec{Volumes: scratch, Containers: []corev1.Container{app}}), "a ready pod", isReady)
	dropped := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)
	file := filepath.Join(w.dir, "node", podsDir, string(kept.UID), volumesDir, "scratch", "file")
	if err := os.WriteFile(file, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.delete(dropped, nil)
	w.start()

	w.wait(dropped, "the pod to be gone", isGone)
	again := w.wait(kept, "a restart", func(pod *corev1.Pod) bool { return state(pod, "app").RestartCount == 1 && isReady(pod) })
	if again.UID != kept.UID || again.Status.PodIP != kept.Status.PodIP {
		t.Errorf("got %s at %s, want %s at %s", again.UID, again.Status.PodIP, kept.UID, kept.Status.PodIP)
	}
	if got := w.ask(again, "app", "/file?path=/scratch/file"); got != "kept" {
		t.Errorf("the emptyDir has %q", got)
	}
	w.eventually("the files of the other pod to go", func() bool { return len(w.podFiles()) == 1 })
}

func TestEndpoint(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]struct {
		code  int
		words string
	}{
		"/healthz":                         {http.StatusOK, "ok"},
		"/containerLogs/no/such/pod":       {http.StatusNotFound, `pod "such" is not on this node`},
		"/exec/no/such/pod":                {http.StatusNotFound, `pod "such" is not on this node`},
		"/attach/ns/pod/app":               {http.StatusNotImplemented, "attach is not there in the embedded engine"},
		"/portForward/no/such":             {http.StatusNotFound, `pod "such" is not on this node`},
		"/containerLogs/a/b/c?tailLines=x": {http.StatusBadRequest, "tailLines is not a number"},
	} {
		response := w.endpoint(path)
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want.code || !strings.HasPrefix(string(text), want.words) {
			t.Errorf("%s: got %d, %q, %v", path, response.StatusCode, text, err)
		}
	}
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)
	response := w.endpoint("/pods")
	defer response.Body.Close()
	var list corev1.PodList
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil || len(list.Items) != 1 || list.Items[0].Name != pod.Name {
		t.Errorf("got the pods %v, %v", list.Items, err)
	}
}

// TestNothingIsLeft makes pods come and go.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	round := func() {
		var pods []*corev1.Pod
		for range 5 {
			pods = append(pods, w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app"), {Name: "b", Args: []string{"exit", "1"}}}}))
		}
		for _, pod := range pods {
			w.wait(pod, "a running pod", func(pod *corev1.Pod) bool { return pod != nil && state(pod, "app").Ready })
			w.delete(pod, nil)
		}
		for _, pod := range pods {
			w.wait(pod, "the pod to be gone", isGone)
		}
	}
	round()
	before := runtime.NumGoroutine()
	for range 3 {
		round()
	}
	w.eventually("the files to go", func() bool { return len(w.podFiles()) == 0 })
	w.eventually("the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
}
