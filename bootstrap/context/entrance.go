package context

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// entrance is the way into a cluster.
type entrance struct{ box *bootstrap.Box }

// Parts are none that a guest may ask.
func (entrance) Parts() []string { return nil }

// Ask has nobody to ask.
func (entrance) Ask(context.Context, string, string, string, []byte) ([]byte, error) {
	return nil, errors.New("a cluster that devbox did not make tells it no numbers")
}

// lookEvery is how often it is looked whether the box was removed.
const lookEvery = 500 * time.Millisecond

// Ended looks whether the box's record is there: a cluster that is away for a
// while is waited for.
func (e entrance) Ended(ctx context.Context) error {
	for again(ctx) {
		if _, err := os.Stat(filepath.Join(e.box.Dir(), "box.json")); errors.Is(err, fs.ErrNotExist) {
			return errors.New("its record is gone")
		}
	}
	return nil
}

// Log is none.
func (entrance) Log() string { return "" }

// Lacks is nothing that is known here.
func (entrance) Lacks() []string { return nil }

// Open holds a port-forward to the gateway, where there is no other way, and
// makes it anew to another pod when it is lost.
func (e entrance) Open(ctx context.Context) error {
	to := e.box.Guest.Forward
	if to == nil {
		return nil
	}
	config, err := e.box.RESTConfig()
	if err != nil {
		return err
	}
	opened, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- forward(ctx, config, to, e.box.HTTPPort, opened)
		for again(ctx) {
			_ = forward(ctx, config, to, e.box.HTTPPort, nil) // a pod that is gone will have a successor
		}
	}()
	select {
	case <-opened:
		return nil
	case err := <-ended:
		return fmt.Errorf("opening a way to the gateway: %w", err)
	}
}

// again returns after a while, and says whether ctx goes on.
func again(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(lookEvery):
		return true
	}
}

// forward leads a port of 127.0.0.1 to a pod that is ready, until ctx ends or the
// connection to it is lost.
func forward(ctx context.Context, config *rest.Config, to *bootstrap.Forward, port int, opened chan struct{}) error {
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	pods, err := clients.CoreV1().Pods(to.Namespace).List(ctx, metav1.ListOptions{LabelSelector: to.Selector})
	if err != nil {
		return fmt.Errorf("looking for the gateway's pods: %w", err)
	}
	pod := ready(pods.Items)
	if pod == nil {
		return errNoGateway(to)
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return fmt.Errorf("preparing a port-forward: %w", err)
	}
	at := clients.CoreV1().RESTClient().Post().Namespace(to.Namespace).Resource("pods").Name(pod.Name).SubResource("portforward").URL()
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, at)
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{fmt.Sprintf("%d:%d", port, to.Port)}, ctx.Done(), opened, io.Discard, io.Discard)
	if err != nil {
		return fmt.Errorf("preparing a port-forward: %w", err)
	}
	return forwarder.ForwardPorts()
}

// ready is a pod that takes requests, nil where there is none.
func ready(pods []corev1.Pod) *corev1.Pod {
	for i := range pods {
		for _, c := range pods[i].Status.Conditions {
			if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && pods[i].DeletionTimestamp == nil {
				return &pods[i]
			}
		}
	}
	return nil
}

func errNoGateway(to *bootstrap.Forward) error {
	return &bootstrap.ClusterError{
		Step: "gateway", Err: fmt.Errorf("no pod of the gateway's is ready (%s in namespace %s)", to.Selector, to.Namespace),
		Hint: "look why with `kubectl -n " + to.Namespace + " get pods`, or give another way in with --gateway http://HOST:PORT",
	}
}
