package node

import (
	"context"
	"errors"
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
// to. A slower one may have good reasons, so it is no more than an event; which is
// there when `devbox up` says, after five, why a revision does not answer.
const listenGrace = 3 * time.Second

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
	if c.answers(ctx, int(port)) {
		return
	}
	if ctx.Err() == nil && !c.pod.standsBy() {
		c.warn(reasonNotListening, "%s", notListening(c.spec.Name, port, listening(process.PID())))
	}
}

// standsBy says that p's program has not begun, and waits for what it is to be.
func (p *pod) standsBy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.latest.Labels[servingv1.StandbyLabel] == servingv1.StandbyWaits
}

// answers says whether the pod takes connections at port, on whichever of its
// addresses.
func (c *container) answers(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	connection, err := c.pod.dialLocal(ctx, port)
	if err != nil {
		return false
	}
	_ = connection.Close()
	return true
}

// dialLocal connects to the pod as its own processes do.
func (p *pod) dialLocal(ctx context.Context, port int) (net.Conn, error) {
	if p.network != nil {
		return p.network.DialLocal(ctx, port)
	}
	var dialer net.Dialer
	var errs []error
	for _, host := range []string{hostIP, p.place.address.String(), "::1"} {
		connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err == nil {
			return connection, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
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
