// Package targets tells Prometheus whom to ask, in the form of its HTTP
// service discovery. Debian's Prometheus, which a box without container
// registries has, was built without an eye for Kubernetes; the upstream one
// takes the same list.
//
//	Prometheus -- GET /queue-proxy --> Handler -- pods, nodes --> API server
//	    |                                 \--> [{"targets": ["10.244.0.7:9090"], "labels": {...}}]
//	    \-- GET /metrics --> 10.244.0.7:9090
//
// It keeps nothing: each question is one list, out of the API server's cache.
package targets

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// A job is pods that are asked alike: those with a label in a namespace, each
// at its ports of some names. "" stands for any.
type job struct {
	namespace, label string
	ports            []string
}

// Jobs of pods, by their names. Those of nodes, "nodes", are asked at the
// kubelet's port.
var jobs = map[string]job{
	"serving":     {servingv1.Namespace, "", []string{"health"}},
	"queue-proxy": {"", servingv1.RevisionLabel, []string{servingv1.AutometricPortName, servingv1.UsermetricPortName}},
	"envoy":       {"istio-system", "", []string{"http-envoy-prom"}},
	"istiod":      {"istio-system", "app=istiod", []string{"http-monitoring"}},
}

// Group is targets with the labels of their samples.
type Group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// Handler answers GET /<job> with the job's targets of now.
func Handler(client kubernetes.Interface) http.Handler {
	mux := http.NewServeMux()
	for name, j := range jobs {
		mux.HandleFunc("GET /"+name, answer(func(ctx context.Context) ([]Group, error) { return pods(ctx, client, j) }))
	}
	mux.HandleFunc("GET /nodes", answer(func(ctx context.Context) ([]Group, error) { return nodes(ctx, client) }))
	return mux
}

// answer writes what find finds. Where that fails Prometheus goes on with the
// targets that it has.
func answer(find func(context.Context) ([]Group, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		groups, err := find(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(groups) // whoever asked has gone
	}
}

func pods(ctx context.Context, client kubernetes.Interface, j job) ([]Group, error) {
	list, err := client.CoreV1().Pods(j.namespace).List(ctx, metav1.ListOptions{
		LabelSelector: j.label, ResourceVersion: "0", FieldSelector: "status.phase=Running",
	})
	if err != nil {
		return nil, fmt.Errorf("listing pods: %w", err)
	}
	groups := []Group{} // JSON has a list, also of none
	for _, pod := range list.Items {
		groups = append(groups, j.targets(&pod)...)
	}
	return groups, nil
}

// targets are a pod's ports that are asked, at the numbers that a node may have
// chosen for them. One that is on its way out has
// nobody to wait for an answer.
func (j job) targets(pod *corev1.Pod) []Group {
	if pod.Status.PodIP == "" || pod.DeletionTimestamp != nil {
		return nil
	}
	chosen := servingv1.ChosenPorts(pod.Annotations)
	var groups []Group
	for _, c := range pod.Spec.Containers {
		for _, port := range c.Ports {
			if slices.Contains(j.ports, port.Name) {
				number := cmp.Or(chosen[port.Name], port.ContainerPort)
				address := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(number)))
				groups = append(groups, Group{Targets: []string{address}, Labels: labels(pod, c.Name)})
			}
		}
	}
	return groups
}

// labels say of whom the samples are; of which revision, queue-proxy says.
func labels(pod *corev1.Pod, container string) map[string]string {
	l := map[string]string{"namespace": pod.Namespace, "pod": pod.Name, "container": container}
	if app := pod.Labels["app"]; app != "" {
		l["app"] = app
	}
	return l
}

func nodes(ctx context.Context, client kubernetes.Interface) ([]Group, error) {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	groups := []Group{}
	for _, node := range list.Items {
		for _, address := range node.Status.Addresses {
			if address.Type == corev1.NodeInternalIP {
				kubelet := net.JoinHostPort(address.Address, strconv.Itoa(int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)))
				groups = append(groups, Group{Targets: []string{kubelet}, Labels: map[string]string{"node": node.Name}})
				break // one way to it is enough
			}
		}
	}
	return groups, nil
}
