package node

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/runner"
)

// podNetwork is a pod's own network, and queue-proxy's ports in it. They are
// opened before any container starts: what a user's container listens on never
// takes one of them, but fails with "address already in use", as it does on
// every cluster that serves Knative.
type podNetwork struct {
	*network.Pod
	address netip.Addr
	queue   []handed // until queue-proxy starts for the first time
	doors   []net.Listener
	life    context.Context //nolint:containedctx // of what comes through the doors
	stop    context.CancelFunc
	through sync.WaitGroup
}

// handed is a listener to be handed to queue-proxy, under queue-proxy's name
// for it.
type handed struct {
	name string
	file *os.File
}

func newPodNetwork(n *network.Network, object *corev1.Pod, address netip.Addr) (*podNetwork, error) {
	own, err := n.Pod(address)
	if err != nil {
		return nil, err
	}
	p := &podNetwork{Pod: own, address: address}
	p.life, p.stop = context.WithCancel(context.Background()) // until close
	for i := range object.Spec.Containers {
		c := &object.Spec.Containers[i]
		if c.Name != servingv1.QueueContainer {
			p.openDoors(c)
			continue
		}
		if p.queue, err = p.open(c); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

// openDoors has the ports that a container declares answer at the pod's address on
// the machine too, for the developer to look at. One that another program has
// there, on all addresses, has no door.
func (p *podNetwork) openDoors(c *corev1.Container) {
	for _, port := range c.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != "" {
			continue
		}
		at := net.JoinHostPort(p.address.String(), strconv.Itoa(int(port.ContainerPort)))
		door, err := net.Listen("tcp", at) //nolint:noctx // it waits for nobody
		if err != nil {
			continue
		}
		p.doors = append(p.doors, door)
		p.through.Go(func() { p.lead(door, int(port.ContainerPort)) })
	}
}

// lead leads all who come to a door to the port inside.
func (p *podNetwork) lead(door net.Listener, port int) {
	for {
		here, err := door.Accept()
		if err != nil {
			return
		}
		p.through.Go(func() {
			there, err := p.DialLocal(p.life, port)
			if err != nil {
				_ = here.Close()
				return
			}
			network.Join(p.life, here, there)
		})
	}
}

// open opens queue-proxy's ports inside, and its entrance outside: on the
// pod's address, which is one of this machine's loopback network.
func (p *podNetwork) open(queue *corev1.Container) (all []handed, err error) {
	defer func() {
		if err != nil {
			closeAll(all)
		}
	}()
	for _, port := range queue.Ports {
		name, ok := queueListeners[port.Name]
		if !ok {
			continue
		}
		l, err := p.Listen(int(port.ContainerPort))
		if err == nil {
			all, err = appendFile(all, name, l)
		}
		if err != nil {
			return all, fmt.Errorf("opening queue-proxy's port %d in the pod: %w", port.ContainerPort, err)
		}
		if port.Name != servingv1.HTTPPortName {
			continue
		}
		l, err = net.Listen("tcp", net.JoinHostPort(p.address.String(), strconv.Itoa(int(port.ContainerPort)))) //nolint:noctx // it waits for nobody
		if err == nil {
			all, err = appendFile(all, "entrance", l)
		}
		if err != nil {
			return all, fmt.Errorf("opening the pod's entrance: %w", err)
		}
	}
	return all, nil
}

// queueListeners are queue-proxy's names for the listeners of its ports.
var queueListeners = map[string]string{
	servingv1.HTTPPortName:       "serving",
	servingv1.QueueAdminPortName: "admin",
	servingv1.AutometricPortName: "autometric",
	servingv1.UsermetricPortName: "usermetric",
}

// appendFile appends the listener as a file, and closes the listener.
func appendFile(all []handed, name string, l net.Listener) ([]handed, error) {
	defer l.Close()
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return all, err
	}
	return append(all, handed{name, file}), nil
}

func closeAll(all []handed) {
	for _, h := range all {
		_ = h.file.Close() // nobody listens there any more
	}
}

func (p *podNetwork) close() {
	p.stop()
	for _, door := range p.doors {
		_ = door.Close() // nobody comes any more
	}
	p.through.Wait()
	closeAll(p.queue)
	p.queue = nil
	p.Close()
}

// handOver gives queue-proxy its listeners. The process then is the only one that
// has them: when it ends, its ports are closed.
func (c *container) handOver(spec *runner.Spec) (err error) {
	p := c.pod.network
	if p == nil || c.spec.Name != servingv1.QueueContainer {
		return nil
	}
	all := p.queue
	p.queue = nil
	if all == nil {
		if all, err = p.open(c.spec); err != nil {
			return err
		}
	}
	var names []string
	for _, h := range all {
		names = append(names, h.name)
		spec.Files = append(spec.Files, h.file)
	}
	// What the box traces to on the machine's loopback is the machine's from
	// the pod too.
	const endpoint = "TRACING_ENDPOINT=http://"
	for i, e := range spec.Env {
		if port, ok := strings.CutPrefix(e, endpoint+hostIP+":"); ok {
			spec.Env[i] = endpoint + network.Machine + ":" + port
		}
	}
	spec.Env = append(spec.Env, "LISTEN_FDS="+strconv.Itoa(len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	return nil
}

// hosts is the pod's /etc/hosts: as a kubelet writes it, and with the machine's
// name. A pod on the machine's network has the machine's too.
func (p *pod) hosts(hostname string) []byte {
	to := netip.MustParseAddr(hostIP)
	var b bytes.Buffer
	if p.network == nil {
		all, err := os.ReadFile("/etc/hosts")
		if err != nil {
			all = []byte("127.0.0.1\tlocalhost\n::1\tlocalhost\n")
		}
		b.Write(all)
		fmt.Fprintf(&b, "\n%s\t%s\n", to, hostname)
	} else {
		to = network.MachineAddress()
		fmt.Fprintf(&b, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n%s\t%s\n", p.place.address, hostname)
	}
	fmt.Fprintf(&b, "%s\t%s\n", to, network.Machine)
	return b.Bytes()
}
