package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// A kubelet's limits of kubectl exec and port-forward.
const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// servePortForward answers kubectl port-forward.
func (n *node) servePortForward(w http.ResponseWriter, r *http.Request) {
	pod := n.find(r.PathValue("namespace"), r.PathValue("pod"))
	if pod == nil {
		http.Error(w, fmt.Sprintf("pod %q is not on this node", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, forwarder{pod}, pod.name(), string(pod.object.UID), options,
		streamIdle, streamCreation, portforward.SupportedProtocols)
}

// forwarder leads streams to the ports of a pod.
type forwarder struct{ pod *pod }

// PortForward connects the stream with the port, until the pod has ended the
// connection, or the client has.
func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	connection, err := f.pod.dialLocal(ctx, int(f.pod.listens(port)))
	if err != nil {
		return fmt.Errorf("connecting to port %d of pod %s: %w", port, f.pod.name(), err)
	}
	defer connection.Close()
	stop := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer stop()
	go func() { // ends with the stream, which the caller closes
		_, err := io.Copy(connection, stream)
		if half, ok := connection.(*net.TCPConn); ok && err == nil {
			_ = half.CloseWrite() // the pod may still answer
			return
		}
		_ = connection.Close()
	}()
	_, err = io.Copy(stream, connection)
	return err
}

// listens is where the pod listens for what its spec calls port.
func (p *pod) listens(port int32) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, chosen := range p.place.ports {
		if portNumber(&p.latest.Spec, name) == port {
			return chosen
		}
	}
	return port
}
