package network

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
)

// Config says what the networks of a box's pods lead to.
type Config struct {
	// Entrance is where the box takes requests, on this machine.
	Entrance string
	// Service is the address of the cluster's service called so, if there is
	// one. It must not wait.
	Service func(namespace, name string) (netip.Addr, bool)
	// Log takes what no pod can be told; nil discards it.
	Log *slog.Logger
}

// spare is how many namespaces are made ahead: a pod that starts does not
// wait for its own.
const spare = 2

// Network makes the networks of pods. It is safe for concurrent use.
type Network struct {
	config Config
	log    *slog.Logger
	flows  limit // of all pods
	spares chan *namespace
	making sync.WaitGroup
	stop   context.CancelFunc

	resolver *net.Resolver   // the machine's
	servers  func() []string // the machine's name servers

	mu   sync.Mutex
	pods map[netip.Addr]*Pod
}

// New returns the Network of a box, or why pods cannot have networks of their
// own here. That is found out by making one.
func New(c Config) (*Network, error) {
	first, err := newNamespace()
	if err != nil {
		return nil, err
	}
	if err := first.returns(); err != nil {
		return nil, errors.Join(err, first.close())
	}
	life, stop := context.WithCancel(context.Background()) // until Close
	n := &Network{
		config: c, log: cmp.Or(c.Log, slog.New(slog.DiscardHandler)), flows: newLimit(allFlows()),
		spares: make(chan *namespace, spare), stop: stop, pods: map[netip.Addr]*Pod{},
		resolver: net.DefaultResolver, servers: func() []string { return readResolver(resolvConf).servers },
	}
	n.spares <- first
	n.making.Go(func() { n.stock(life) })
	return n, nil
}

// stock keeps spare namespaces until life is done.
func (n *Network) stock(life context.Context) {
	for life.Err() == nil {
		next, err := newNamespace()
		if err != nil {
			// The next pod tries again, and its error is told.
			n.log.Warn("making a pod's network ahead", "error", err)
			return
		}
		select {
		case n.spares <- next:
		case <-life.Done():
			_ = next.close() // nobody has it
		}
	}
}

// Close gives back what no pod has. The pods are closed before.
func (n *Network) Close() {
	n.stop()
	n.making.Wait()
	close(n.spares)
	for s := range n.spares {
		_ = s.close()
	}
}

// Pod is the network of a pod.
type Pod struct {
	address netip.Addr
	network *Network
	space   *namespace
	egress  *egress
}

// Pod returns the network of the pod that has address, which lies in Pods and
// is no other's.
func (n *Network) Pod(address netip.Addr) (_ *Pod, err error) {
	var space *namespace
	select {
	case space = <-n.spares:
	default: // many at once
		if space, err = newNamespace(); err != nil {
			return nil, err
		}
	}
	if err := space.address(address); err != nil {
		return nil, errors.Join(fmt.Errorf("giving a pod's network its address %s: %w", address, err), space.close())
	}
	p := &Pod{address: address, network: n, space: space}
	p.egress = newEgress(p)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pods[address] = p
	return p, nil
}

// find is the pod that has address, nil where there is none.
func (n *Network) find(address netip.Addr) *Pod {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pods[address]
}

// Dial connects to a pod at its address, like the machine's own Dial; what is
// no pod's address it leaves to that.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if at, err := netip.ParseAddrPort(address); err == nil {
		if p := n.find(at.Addr()); p != nil {
			return p.space.dial(ctx, network, address)
		}
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// Namespace is the network namespace that the pod's processes are in, as a file. It is
// the Pod's.
func (p *Pod) Namespace() *os.File { return p.space.file }

// DialLocal connects to a port of the pod as its own processes do, on
// 127.0.0.1 or ::1.
func (p *Pod) DialLocal(ctx context.Context, port int) (net.Conn, error) {
	connection, err := p.space.dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err == nil || ctx.Err() != nil {
		return connection, err
	}
	if six, err6 := p.space.dial(ctx, "tcp", net.JoinHostPort("::1", strconv.Itoa(port))); err6 == nil {
		return six, nil
	}
	return nil, err
}

// Listen opens a port of the pod, on all its addresses.
func (p *Pod) Listen(port int) (net.Listener, error) { return p.space.listen(port) }

// Close ends the pod's connections out and gives back its network, which is
// gone when the last process in it is.
func (p *Pod) Close() {
	p.network.mu.Lock()
	delete(p.network.pods, p.address)
	p.network.mu.Unlock()
	if err := p.space.close(); err != nil {
		p.network.log.Warn("closing a pod's network", "address", p.address, "error", err)
	}
	p.egress.wait()
}
