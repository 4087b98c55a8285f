package node

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func TestExplainBind(t *testing.T) {
	const shared = ", since pods of the embedded engine share this machine's network here; listen on the port that $PORT names, which is this pod's own"
	object := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "user"}, {Name: servingv1.QueueContainer}}}}
	for _, c := range []struct {
		own         bool
		words, want string
	}{
		{false, "panic: on purpose\n", "panic: on purpose\n"},
		{false, "listen tcp :8080: bind: address already in use\n",
			"listen tcp :8080: bind: address already in use\nthe box's gateway has port 8080" + shared},
		{false, "2026/01/01 listen tcp 0.0.0.0:2112: bind: address already in use",
			"2026/01/01 listen tcp 0.0.0.0:2112: bind: address already in use\nanother pod or program of this machine has port 2112" + shared},
		{true, "Error: listen EADDRINUSE: address already in use :::9090",
			"Error: listen EADDRINUSE: address already in use :::9090\nqueue-proxy has port 9090 in every pod of a service, on every cluster; listen on another"},
		{true, "listen tcp :2112: bind: address already in use",
			"listen tcp :2112: bind: address already in use\nport 2112 is taken by another program of the same pod; listen on another"},
	} {
		p := &pod{node: &node{entrance: 8080}, object: object}
		if c.own {
			p.network = &podNetwork{}
		}
		if got := newContainer(p, &object.Spec.Containers[0], false).explainBind(c.words); got != c.want {
			t.Errorf("%q is explained as %q, want %q", c.words, got, c.want)
		}
	}
}
