package delve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // its types are those of client-go's dialers
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// tunnel is a connection to a port of a pod, by the API server.
type tunnel struct {
	httpstream.Stream
	connection httpstream.Connection
}

// Close implements io.Closer.
func (t tunnel) Close() error { return t.connection.Close() }

// dial connects to the port of a pod on which Delve listens.
func dial(ctx context.Context, config *rest.Config, pod *corev1.Pod) (io.ReadWriteCloser, error) {
	port, err := strconv.Atoi(pod.Annotations[PortAnnotation])
	if err != nil {
		return nil, fmt.Errorf("pod %s is not debugged", pod.Name)
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading the box's address: %w", err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a port-forward: %w", err)
	}
	to := server.JoinPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "portforward")
	connection, err := upgrade(ctx, transport, upgrader, to)
	if err != nil {
		return nil, fmt.Errorf("forwarding to pod %s: %w", pod.Name, err)
	}
	t, err := open(connection, port)
	if err != nil {
		_ = connection.Close()
		return nil, fmt.Errorf("forwarding to port %d of pod %s: %w", port, pod.Name, err)
	}
	return t, nil
}

// upgrade makes a connection that is given up when ctx ends first.
func upgrade(ctx context.Context, transport http.RoundTripper, upgrader spdy.Upgrader, to *url.URL) (httpstream.Connection, error) {
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	type result struct {
		connection httpstream.Connection
		err        error
	}
	done := make(chan result, 1)
	go func() {
		connection, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		done <- result{connection, err}
	}()
	select {
	case r := <-done:
		return r.connection, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.connection.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// open opens the two streams of a forwarded connection. What is said on the one
// for errors ends the other.
func open(connection httpstream.Connection, port int) (io.ReadWriteCloser, error) {
	headers := http.Header{}
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, "0")
	refused, err := connection.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := connection.CreateStream(headers)
	if err = errors.Join(err, refused.Close()); err != nil { // we write nothing to it
		return nil, err
	}
	go func() {
		_, _ = io.Copy(io.Discard, refused) // until the other side is done, well or not
		_ = connection.Close()
	}()
	return tunnel{data, connection}, nil
}
