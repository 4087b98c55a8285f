package node

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/serving/activator"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/test/bed"
	"github.com/kind-in-a-box/devbox/test/imagetest"
)

// TestRoad has two pods of a service serve through an activator.
func TestRoad(t *testing.T) {
	if hasOneAddress() {
		t.Skip("this machine has one loopback address")
	}
	r := newRoad(t, func(*Config) {})
	one, two := r.pod(), r.pod()
	if one.Status.PodIP == two.Status.PodIP {
		t.Errorf("both are at %s", one.Status.PodIP)
	}
	if ports := servingv1.ChosenPorts(one.Annotations); len(ports) != 1 || ports[servingv1.UserPortName] == 0 {
		t.Errorf("got the ports %v, want the user's alone", ports)
	}
	r.serves(one, two)
	r.leaves(one)
	r.serves(two)
}

// TestRoadWithOneAddress is the same where both share an address, also when
// the node starts again.
func TestRoadWithOneAddress(t *testing.T) {
	r := newRoad(t, func(c *Config) { c.OneAddress = true })
	one, two := r.pod(), r.pod()
	for _, pod := range []*corev1.Pod{one, two} {
		ports := servingv1.ChosenPorts(pod.Annotations)
		if pod.Status.PodIP != hostIP || len(ports) != 5 {
			t.Fatalf("got %s and the ports %v", pod.Status.PodIP, ports)
		}
		for _, name := range []string{servingv1.AutometricPortName, servingv1.UsermetricPortName} {
			if metrics := get(t, fmt.Sprintf("http://%s:%d/metrics", hostIP, ports[name])); !strings.Contains(metrics, strconv.Quote(pod.Name)) {
				t.Errorf("at %s of %s are the metrics %s", name, pod.Name, metrics)
			}
		}
	}
	r.serves(one, two)

	r.stop()
	r.start()
	for _, pod := range []*corev1.Pod{one, two} {
		again := r.wait(pod, "a restart", func(pod *corev1.Pod) bool {
			return state(pod, servingv1.UserContainer).RestartCount == 1 && isReady(pod)
		})
		if !maps.Equal(again.Annotations, pod.Annotations) {
			t.Errorf("got %v, want what it was: %v", again.Annotations, pod.Annotations)
		}
	}
	r.serves(one, two)
	r.leaves(one)
	r.serves(two)
}

// road is a node, an activator and a service of theirs.
type road struct {
	*world
	revision *servingv1.Revision
	queue    desired.Queue
	url      string
	host     string
}

func newRoad(t *testing.T, change func(*Config)) *road {
	r := &road{world: newWorld(t, change)}
	r.host = "hello." + r.namespace + ".example.com"
	r.queue = desired.Queue{Image: push(t, queueProgram, imagetest.Registry(t), v1.Config{}), DrainQuietPeriod: 100 * time.Millisecond}
	r.revision = &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "hello-00001"}}
	r.revision.Spec.Containers = []servingv1.Container{{Name: servingv1.UserContainer, Image: r.image}}
	route := &servingv1.Route{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "hello"}}
	route.Spec.Traffic = []servingv1.TrafficTarget{{RevisionName: r.revision.Name, Percent: new(int64(100))}}
	api := bed.Start(t).Client()
	for _, err := range []error{api.Create(t.Context(), r.revision), api.Create(t.Context(), route)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	route.Status.URL, route.Status.Traffic = "http://"+r.host, route.Spec.Traffic
	if err := api.Status().Update(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	r.startActivator()
	return r
}

// startActivator runs an activator until the test ends. It has no controller
// to tell anything.
func (r *road) startActivator() {
	r.t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(hostIP, "0"))
	if err != nil {
		r.t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		r.t.Fatal(err)
	}
	r.url = "http://" + address
	ctx, stop := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() {
		done <- activator.Run(ctx, activator.Config{
			REST: bed.Start(r.t).REST(), Address: address, Stream: "unix:" + filepath.Join(r.dir, "none"),
			Quiet: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler),
		})
	}()
	r.t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			r.t.Errorf("the activator ended with %v", err)
		}
	})
}

// pod makes a pod of the service and returns it when it is ready.
func (r *road) pod() *corev1.Pod {
	r.t.Helper()
	pod, err := r.client.CoreV1().Pods(r.namespace).Create(r.t.Context(), desired.Pod(r.revision, r.queue, desired.Place{Node: r.node}), metav1.CreateOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return r.wait(pod, "a ready pod", isReady)
}

// serves waits until requests come to all of these pods, and to no others.
func (r *road) serves(pods ...*corev1.Pod) {
	r.t.Helper()
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	slices.Sort(names)
	r.eventually(fmt.Sprintf("answers of %v", names), func() bool {
		answered := map[string]bool{}
		for range 20 {
			answered[r.answer()] = true
		}
		return slices.Equal(slices.Sorted(maps.Keys(answered)), names)
	})
}

// answer is which pod answers a request, or what is said in place of it.
func (r *road) answer() string {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.url+"/env", nil)
	if err != nil {
		r.t.Fatal(err)
	}
	request.Host = r.host
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return fmt.Sprint(response.Status, " ", err)
	}
	_, after, _ := strings.Cut(string(text), "HOSTNAME=")
	name, _, _ := strings.Cut(after, "\n")
	return name
}

// leaves deletes the pod, which drains before it ends, and waits until it has.
func (r *road) leaves(pod *corev1.Pod) {
	r.t.Helper()
	r.delete(pod, nil)
	r.wait(pod, "the pod to be gone", isGone)
	events, err := r.client.CoreV1().Events(r.namespace).List(r.t.Context(), metav1.ListOptions{
		FieldSelector: "involvedObject.name=" + pod.Name + ",reason=" + reasonFailedPreStop,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	for _, e := range events.Items {
		r.t.Errorf("it did not drain: %s", e.Message)
	}
}
