package apiserver

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// asksNode has the Server ask a node for a log, and others try the same.
func asksNode(t *testing.T, s *Server) {
	node := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "the log at ", r.URL)
	}))
	node.TLS = s.KubeletTLS()
	node.StartTLS()
	defer node.Close()
	register(t, s, node)

	words, err := clientset(t, s).CoreV1().Pods("default").
		GetLogs("pod", &corev1.PodLogOptions{Container: "app", TailLines: new(int64(7))}).DoRaw(t.Context())
	if want := "the log at /containerLogs/default/pod/app?tailLines=7"; err != nil || string(words) != want {
		t.Errorf("got %q, %v, want %q", words, err, want)
	}
	stranger := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, node.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := stranger.Do(request); err == nil {
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		t.Errorf("who has no certificate is told %q", text)
	}
}

// register makes a Node whose endpoint is server, and a Pod on it.
func register(t *testing.T, s *Server, server *httptest.Server) {
	t.Helper()
	port, err := strconv.Atoi(server.URL[len("https://127.0.0.1:"):])
	if err != nil {
		t.Fatal(err)
	}
	client := clientset(t, s).CoreV1()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}}
	if node, err = client.Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "node"}, {Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
	}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	if _, err := client.Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod"},
		Spec:       corev1.PodSpec{NodeName: "node", Containers: []corev1.Container{{Name: "app", Image: "app"}}},
	}
	if _, err := client.Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}
