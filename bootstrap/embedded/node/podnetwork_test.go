package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // client-go's dialer takes no other
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/portforward"
	transport "k8s.io/client-go/transport/spdy"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// ownNetworks has a node give its pods networks of their own.
func ownNetworks(t testing.TB) func(*Config) {
	t.Helper()
	if hasOneAddress() {
		t.Skip("this machine has one loopback address")
	}
	n, err := network.New(network.Config{Service: func(string, string) (netip.Addr, bool) { return netip.Addr{}, false }})
	if err != nil {
		t.Skip("pods have no networks of their own here:", err)
	}
	t.Cleanup(n.Close)
	return func(c *Config) {
		if !c.Runner.Isolation().Root {
			t.Skip(c.Runner.Isolation().Reason)
		}
		c.Network = n
	}
}

// TestRoadInNetworksOfTheirOwn is TestRoad where no pod has its port moved, and a
// second listener is in nobody's way.
func TestRoadInNetworksOfTheirOwn(t *testing.T) {
	r := newRoad(t, ownNetworks(t))
	r.revision.Spec.Containers[0].Ports = []servingv1.ContainerPort{{ContainerPort: 8080}}
	r.revision.Spec.Containers = append(r.revision.Spec.Containers, servingv1.Container{
		Name: "metrics", Image: r.image, Env: []servingv1.EnvVar{{Name: "PORT", Value: "2112"}},
	})
	one, two := r.pod(), r.pod()
	for _, pod := range []*corev1.Pod{one, two} {
		if len(pod.Annotations[servingv1.PortsAnnotation]) != 0 {
			t.Errorf("a pod's ports are moved: %v", pod.Annotations)
		}
		if !network.Pods.Contains(netip.MustParseAddr(pod.Status.PodIP)) {
			t.Errorf("a pod is at %s", pod.Status.PodIP)
		}
	}
	r.serves(one, two)
	for _, pod := range []*corev1.Pod{one, two} {
		if s := state(pod, "metrics"); s.RestartCount != 0 || s.State.Running == nil {
			t.Errorf("the second listener is %+v", s)
		}
		if env := get(t, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/env"); !strings.Contains(env, "HOSTNAME="+pod.Name+"\n") {
			t.Errorf("at the declared port of pod %s is %s", pod.Name, env)
		}
		for _, port := range []string{"2112", "9090", "8022"} {
			if c, err := net.Dial("tcp", net.JoinHostPort(pod.Status.PodIP, port)); err == nil { //nolint:noctx // nobody is there
				_ = c.Close()
				t.Errorf("port %s of a pod is open on the machine", port)
			}
		}
	}
	r.leaves(one)
	r.serves(two)
}

// TestQueueProxysPortsAreTaken in its pod, as on every cluster, and the user
// container is the one that hears of it.
func TestQueueProxysPortsAreTaken(t *testing.T) {
	r := newRoad(t, ownNetworks(t))
	r.revision.Spec.Containers[0].Ports = []servingv1.ContainerPort{{ContainerPort: 8080}}
	r.revision.Spec.Containers = append(r.revision.Spec.Containers, servingv1.Container{
		Name: "metrics", Image: r.image, Env: []servingv1.EnvVar{{Name: "PORT", Value: strconv.Itoa(servingv1.AutometricPort)}},
	})
	pod, err := r.client.CoreV1().Pods(r.namespace).Create(t.Context(), desired.Pod(r.revision, r.queue, desired.Place{Node: r.node}), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod = r.wait(pod, "the end of the second listener", func(pod *corev1.Pod) bool {
		return state(pod, "metrics").LastTerminationState.Terminated != nil && state(pod, servingv1.QueueContainer).State.Running != nil
	})
	message := state(pod, "metrics").LastTerminationState.Terminated.Message
	for _, want := range []string{"address already in use", "queue-proxy has port 9090"} {
		if !strings.Contains(message, want) {
			t.Errorf("the second listener says %q; want %q in it", message, want)
		}
	}
	if s := state(pod, servingv1.QueueContainer); s.RestartCount != 0 {
		t.Errorf("queue-proxy is %+v", s)
	}
}

// TestProbesEnterThePodsNetwork: by HTTP and by a connection, at the ports that the
// manifest says.
func TestProbesEnterThePodsNetwork(t *testing.T) {
	w := newWorld(t, ownNetworks(t))
	c := serving("one")
	c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8080)}}}
	one, two := w.pod(corev1.PodSpec{Containers: []corev1.Container{c}}), w.pod(corev1.PodSpec{Containers: []corev1.Container{c}})
	one, two = w.wait(one, "the first pod", isReady), w.wait(two, "the second pod", isReady)
	env := w.forwarded(one, "/env")
	if !strings.Contains(env, "PORT=8080\n") || !strings.Contains(env, "HOSTNAME="+one.Name+"\n") {
		t.Errorf("the first pod has the environment %s", env)
	}
	if env := w.forwarded(two, "/env"); !strings.Contains(env, "HOSTNAME="+two.Name+"\n") {
		t.Errorf("the second pod has the environment %s", env)
	}
	hosts := w.forwarded(one, "/file?path=/etc/hosts")
	for _, want := range []string{one.Status.PodIP + "\t" + one.Name, "192.0.0.1\thost.devbox.internal"} {
		if !strings.Contains(hosts, want) {
			t.Errorf("%q has no %q", hosts, want)
		}
	}
	if conf, want := w.forwarded(one, "/file?path=/etc/resolv.conf"), "search "+w.namespace+".svc.cluster.local "; !strings.Contains(conf, want) {
		t.Errorf("%q has no %q", conf, want)
	}
}

// TestNotListeningInANetworkOfItsOwn: the event says where a program listens
// instead.
func TestNotListeningInANetworkOfItsOwn(t *testing.T) {
	w := newWorld(t, ownNetworks(t))
	c := serving("one")
	c.Env, c.ReadinessProbe = []corev1.EnvVar{{Name: "PORT", Value: "3000"}}, nil
	pod := w.pod(corev1.PodSpec{Containers: []corev1.Container{c}})
	if got := w.event(pod, reasonNotListening); !strings.Contains(got, "port 8080") || !strings.HasSuffix(got, "it listens on 3000 instead") {
		t.Errorf("the event says %q", got)
	}
	node, err := w.client.CoreV1().Nodes().Get(t.Context(), w.node, metav1.GetOptions{})
	if err != nil || node.Annotations[servingv1.PodNetworkAnnotation] != servingv1.PodNetworkOwn {
		t.Errorf("the pods' network is said to be %q, %v", node.Annotations[servingv1.PodNetworkAnnotation], err)
	}
}

// TestPortForward on the machine's network, where ports are moved.
func TestPortForward(t *testing.T) {
	w := newWorld(t)
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("one")}}), "the pod", isReady)
	if env := w.forwarded(pod, "/env"); !strings.Contains(env, "HOSTNAME="+pod.Name+"\n") {
		t.Errorf("the pod has the environment %s", env)
	}
}

// forwarded asks the pod's port 8080 as kubectl port-forward does.
func (w *world) forwarded(pod *corev1.Pod, path string) string {
	w.t.Helper()
	node, err := w.client.CoreV1().Nodes().Get(w.t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		w.t.Fatal(err)
	}
	upgrader, err := spdy.NewRoundTripper(w.tls.Clone())
	if err != nil {
		w.t.Fatal(err)
	}
	dialer := transport.NewDialer(upgrader, &http.Client{Transport: upgrader}, http.MethodPost, &url.URL{
		Scheme: "https", Host: fmt.Sprintf("127.0.0.1:%d", node.Status.DaemonEndpoints.KubeletEndpoint.Port),
		Path: fmt.Sprintf("/portForward/%s/%s", pod.Namespace, pod.Name),
	})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	ready := make(chan struct{})
	forward, err := portforward.New(dialer, []string{"0:8080"}, ctx.Done(), ready, io.Discard, w.t.Output())
	if err != nil {
		w.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- forward.ForwardPorts()
	}()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("forwarding ended with %v", err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		w.t.Fatal(err)
	}
	ports, err := forward.GetPorts()
	if err != nil {
		w.t.Fatal(err)
	}
	return get(w.t, fmt.Sprintf("http://127.0.0.1:%d%s", ports[0].Local, path))
}
