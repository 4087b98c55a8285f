package kind

import (
	"bytes"
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// entrance is the way into a box.
type entrance struct{ box *bootstrap.Box }

// Enter leads through the box's API server.
func (Engine) Enter(box *bootstrap.Box) bootstrap.Entrance { return entrance{box} }

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

// Ended waits for ctx: a cluster comes back by itself.
func (entrance) Ended(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Log is none: docker has the node's, the cluster its pods'.
func (entrance) Log() string { return "" }

// Lacks is nothing.
func (entrance) Lacks() []string { return nil }
