package kind

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// entrance is the way into a box.
type entrance struct {
	box   *bootstrap.Box
	every time.Duration // between two looks whether the node runs
}

// Enter leads through the box's API server.
func (Engine) Enter(box *bootstrap.Box) bootstrap.Entrance { return entrance{box, lookEvery} }

const (
	lookEvery = 2 * time.Second
	// looks is how often in a row a node must not run before the box has ended:
	// where Docker itself is started again, it brings the node back.
	looks = 3
)

// metricsPortName is the port of the parts' Services, as upstream calls it.
const metricsPortName = "http-metrics"

// Parts are a pod each.
func (entrance) Parts() []string { return []string{"controller", "activator", "registry"} }

// Ask asks by way of the API server: no port of this machine leads there.
func (e entrance) Ask(ctx context.Context, part, method, path string, body []byte) ([]byte, error) {
	config, err := e.box.RESTConfig()
	if err != nil {
		return nil, err
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	request := clients.CoreV1().RESTClient().Verb(method).Namespace(servingv1.Namespace).
		Resource("services").Name(part + ":" + metricsPortName).SubResource("proxy").Suffix(path)
	if body != nil {
		request.SetHeader("Content-Type", "text/plain").Body(body)
	}
	answer, err := request.Do(ctx).Raw()
	if apierrors.IsNotFound(err) || err != nil && bytes.Contains(answer, []byte("no service port")) {
		return nil, fmt.Errorf("%w (%w)", bootstrap.ErrOlder, err)
	}
	return answer, err
}

// Ended looks for the node until it has been stopped or removed. Docker that
// does not answer says nothing of it.
func (e entrance) Ended(ctx context.Context) error {
	node := cluster.New(e.box.Name)
	for missed := 0; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(e.every):
		}
		state, err := node.State(ctx, new(spec(e.box)))
		switch {
		case err != nil:
			continue
		case state == cluster.Running:
			missed = 0
			continue
		}
		if missed++; missed < looks {
			continue
		}
		if state == cluster.Stopped {
			return errors.New("its cluster is stopped")
		}
		return errors.New("its cluster is gone")
	}
}

// Log is none: docker has the node's, the cluster its pods'.
func (entrance) Log() string { return "" }

// Lacks is nothing.
func (entrance) Lacks() []string { return nil }
