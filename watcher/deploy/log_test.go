package deploy

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// TestLog plays the kubelet's part behind the API server.
func TestLog(t *testing.T) {
	logs := map[string]string{
		"user-container":          "started again\n",
		"user-container previous": "panic: on purpose\n\ngoroutine 1 [running]:\n",
		"sidecar":                 "all is well\n",
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.URL.Query().Get("container")
		if r.URL.Query().Get("previous") == "true" {
			key += " previous"
		}
		text, ok := logs[key]
		if !ok || r.URL.Query().Get("tailLines") != "10" {
			http.Error(w, "no such log", http.StatusBadRequest)
			return
		}
		_, _ = w.Write([]byte(text))
	}))
	defer server.Close()
	pods, err := corev1client.NewForConfig(&rest.Config{Host: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	again := user(running)
	again.LastTerminationState = panicked
	sidecar := corev1.ContainerStatus{Name: "sidecar", State: running}
	inMesh := func(user corev1.ContainerStatus) []corev1.Pod {
		all := pod(user)
		all[0].Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "sidecar", State: running, Started: new(true)}}
		return all
	}
	held := user(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PodInitializing"}})
	for name, c := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"in the mesh":              {inMesh(user(running)), "started again"},
		"its sidecar is not ready": {inMesh(held), "all is well"},
		"no pod":                   {nil, ""},
		"no container yet":         {[]corev1.Pod{{}}, ""},
		"running":                  {pod(user(running)), "started again"},
		"started again":            {pod(sidecar, again), "panic: on purpose||goroutine 1 [running]:"},
		"ended":                    {pod(sidecar, user(panicked)), "started again"},
		"another one is well":      {pod(sidecar, user(running)), "all is well"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range c.pods {
				c.pods[i].Namespace, c.pods[i].Name = "default", "hello-00001-deployment-abcde"
			}
			w := &waiting{Deployer: &Deployer{pods: pods}, now: state{pods: c.pods}}
			if got := strings.Join(w.log(t.Context()), "|"); got != c.want {
				t.Errorf("log = %q, want %q", got, c.want)
			}
		})
	}
}
