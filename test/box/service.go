package box

import (
	"context"
	"errors"
	"maps"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerlog "sigs.k8s.io/controller-runtime/pkg/log"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
	"github.com/kind-in-a-box/devbox/test/load"
)

// soon is time enough for what takes seconds on a quiet machine.
const soon = 90 * time.Second

// Eventually waits until something is so.
func Eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(soon); !so(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s it is still not so that %s", soon, what)
		}
	}
}

// Caller sends requests for a host to the box's gateway.
func (b *Box) Caller(host, path string) *load.Caller { return load.New(b.Gateway+path, host) }

// Serving is a client of the box's API server for the kinds of serving.
func (b *Box) Serving() client.Client {
	b.t.Helper()
	controllerlog.SetLogger(logr.Discard()) // it asks for one, and has nothing to say
	kinds := runtime.NewScheme()
	if err := errors.Join(servingv1.AddToScheme(kinds), servingv1beta1.AddToScheme(kinds)); err != nil {
		b.t.Fatal(err)
	}
	config := rest.CopyConfig(b.REST())
	config.QPS = -1 // the server's own fairness limits a test, not a constant
	api, err := client.New(config, client.Options{Scheme: kinds})
	if err != nil {
		b.t.Fatal(err)
	}
	return api
}

// Image is what the one container of a service runs.
func (b *Box) Image(service string) string {
	b.t.Helper()
	var s servingv1.Service
	if err := b.Serving().Get(b.t.Context(), client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: service}, &s); err != nil {
		b.t.Fatal(err)
	}
	return s.Spec.Template.Spec.Containers[0].Image
}

// Service makes a service of an image, gone when t ends, and returns its host
// when it answers. Annotations are those of autoscaling, without its prefix.
func (b *Box) Service(t testing.TB, name, image string, concurrency int64, annotations map[string]string) (host string) {
	t.Helper()
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name}}
	s.Spec.Template.Annotations = map[string]string{}
	for key, value := range maps.All(annotations) {
		s.Spec.Template.Annotations["autoscaling.knative.dev/"+key] = value
	}
	s.Spec.Template.Spec.ContainerConcurrency = &concurrency
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: image}}
	return b.Deploy(t, s)
}

// Deploy makes a service, gone when t ends, and returns its host when it
// answers.
func (b *Box) Deploy(t testing.TB, s *servingv1.Service) (host string) {
	t.Helper()
	api := b.Serving()
	s.Namespace = metav1.NamespaceDefault
	if err := api.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := api.Delete(context.WithoutCancel(t.Context()), s); err != nil {
			t.Error(err)
		}
	})
	host = s.Name + ".default.example.com"
	c := b.Caller(host, "/")
	Eventually(t, s.Name+" answers", func() bool { return c.Send(time.Now()).OK() })
	return host
}

// Of selects what belongs to a service.
func Of(service string) string { return servingv1.ServiceLabel + "=" + service }

// PodsOf are those of a service, or of a part of the stack.
func (b *Box) PodsOf(namespace, selector string) []corev1.Pod {
	b.t.Helper()
	list, err := b.Kubernetes().CoreV1().Pods(namespace).List(b.t.Context(), metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		b.t.Fatal(err)
	}
	return list.Items
}

// ReadyPodsOf are those of them that are ready, and stay.
func (b *Box) ReadyPodsOf(namespace, selector string) []corev1.Pod {
	b.t.Helper()
	var ready []corev1.Pod
	for _, p := range b.PodsOf(namespace, selector) {
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && p.DeletionTimestamp == nil {
				ready = append(ready, p)
			}
		}
	}
	return ready
}

// Zero waits until a service has no pod, whatever state it would be in.
func (b *Box) Zero(t testing.TB, service string) {
	t.Helper()
	Eventually(t, service+" has no pod", func() bool { return len(b.PodsOf(metav1.NamespaceDefault, Of(service))) == 0 })
}

// UserAddress is where a pod's first container listens, once the pod has an
// address: at its spec's port, or at one that the node has chosen for it.
func (b *Box) UserAddress(pod *corev1.Pod) (address string, ok bool) {
	port := pod.Spec.Containers[0].Ports[0].ContainerPort
	if chosen, ok := servingv1.ChosenPorts(pod.Annotations)[servingv1.UserPortName]; ok {
		port = chosen
	}
	return net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port))), pod.Status.PodIP != ""
}
