package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/proxy"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// listenGrace is how long a container has until it listens where it was told
// to. A slower one may have good reasons, so it is no more than an event.
const listenGrace = 5 * time.Second

// listensOn is the port that c was told to listen on, 0 if it was not.
func listensOn(c *corev1.Container) int32 {
	for _, p := range c.Ports {
		if p.Name == servingv1.UserPortName {
			return p.ContainerPort
		}
	}
	return 0
}

// checkListening tells, with an event, of a process that runs and does not
// listen on port: nothing else in the box can say what it does instead.
func (c *container) checkListening(ctx context.Context, process *runner.Process, port int32) {
	if !proxy.Sleep(ctx, listenGrace) {
		return
	}
	for _, host := range []string{hostIP, c.pod.place.address.String(), "::1"} {
		dialer := net.Dialer{Timeout: time.Second}
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
		if err == nil {
			_ = connection.Close()
			return
		}
	}
	if ctx.Err() == nil {
		c.warn(reasonNotListening, "%s", notListening(c.spec.Name, port, listening(process.PID())))
	}
}

// notListening is the event's sentence; instead are the ports found open.
func notListening(name string, port int32, instead []int) string {
	s := fmt.Sprintf("container %s does not listen on port %d, which its environment variable PORT names", name, port)
	if len(instead) == 0 {
		return s + ", nor on any other"
	}
	slices.Sort(instead)
	var ports []string
	for _, p := range slices.Compact(instead) {
		ports = append(ports, strconv.Itoa(p))
	}
	return s + "; it listens on " + strings.Join(ports, ", ") + " instead"
}
