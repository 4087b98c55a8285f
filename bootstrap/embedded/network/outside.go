package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"
)

const (
	nic = 1
	// queued packets to a pod are more than a window of one connection.
	queued = 256
	// dialTimeout is how long the machine may try to connect for a pod.
	dialTimeout = 30 * time.Second
	// quiet is how long a conversation over UDP may say nothing.
	quiet = time.Minute
	// keepalive is how long a connection of a pod may say nothing before it is
	// asked whether it is there.
	keepalive = time.Minute
	// A connection's buffers, in bytes.
	leastBuffer, firstBuffer, mostBuffer = 4 << 10, 128 << 10, 1 << 20
	datagram                             = 64 << 10
)

// outside is the world as one pod sees it: a stack that takes every address
// for its own, and for each connection to it one of the machine's.
type outside struct {
	pod   *Pod
	life  context.Context //nolint:containedctx // the stack's callbacks have none
	log   *slog.Logger
	stack *stack.Stack
	link  *channel.Endpoint
	tcp   limit
	udp   limit
	flows sync.WaitGroup
}

func newOutside(life context.Context, p *Pod) (*outside, error) {
	o := &outside{
		pod: p, life: life, log: p.network.log, link: channel.New(queued, mtu, ""), tcp: newLimit(maxFlows), udp: newLimit(maxFlows),
		stack: stack.New(stack.Options{
			// The addresses of other pods are loopback addresses.
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocolWithOptions(ipv4.Options{AllowExternalLoopbackTraffic: true})},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
		}),
	}
	if err := o.setUp(); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *outside) setUp() error {
	receive := tcpip.TCPReceiveBufferSizeRangeOption{Min: leastBuffer, Default: firstBuffer, Max: mostBuffer}
	send := tcpip.TCPSendBufferSizeRangeOption{Min: leastBuffer, Default: firstBuffer, Max: mostBuffer}
	// Nothing is late between a pod and its own stack.
	wait := tcpip.TCPTimeWaitTimeoutOption(time.Second)
	for _, err := range []tcpip.Error{
		o.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &receive),
		o.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &send),
		o.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &wait),
		o.stack.CreateNIC(nic, o.link),
		o.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{
			Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFromSlice(names.AsSlice()).WithPrefix(),
		}, stack.AddressProperties{}),
		o.stack.SetSpoofing(nic, true),
		o.stack.SetPromiscuousMode(nic, true),
	} {
		if err != nil {
			return fmt.Errorf("setting up a pod's way out: %s", err)
		}
	}
	o.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	o.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, tcp.NewForwarder(o.stack, 0, maxDialing, o.connect).HandlePacket)
	o.stack.SetTransportProtocolHandler(udp.ProtocolNumber, udp.NewForwarder(o.stack, o.converse).HandlePacket)
	return o.answerNames()
}

// close ends all flows. The life is over.
func (o *outside) close() {
	o.flows.Wait()
	o.stack.Close()
	o.link.Close()
	o.stack.Wait()
}

// connect takes a connection of the pod, if the machine can connect where it
// leads to. It runs in a goroutine of its own, which ends with o.life.
func (o *outside) connect(r *tcp.ForwarderRequest) {
	if !o.tcp.take() {
		r.Complete(false) // the pod tries again
		return
	}
	defer o.tcp.give()
	if !o.pod.network.flows.take() {
		r.Complete(false)
		return
	}
	defer o.pod.network.flows.give()
	ctx, cancel := context.WithTimeout(o.life, dialTimeout)
	defer cancel()
	there, err := o.dial(ctx, "tcp", destination(r.ID()))
	if err != nil {
		r.Complete(true)
		return
	}
	var queue waiter.Queue
	endpoint, failed := r.CreateEndpoint(&queue)
	r.Complete(false)
	if failed != nil {
		_ = there.Close() // the pod has given up
		return
	}
	idle := tcpip.KeepaliveIdleOption(keepalive)
	_ = endpoint.SetSockOpt(&idle) // it is a TCP endpoint
	endpoint.SocketOptions().SetKeepAlive(true)
	gone := waiter.NewFunctionEntry(waiter.EventHUp|waiter.EventErr, func(waiter.EventMask) { _ = there.Close() })
	queue.EventRegister(&gone)
	defer queue.EventUnregister(&gone)
	Join(o.life, gonet.NewTCPConn(&queue, endpoint), there)
}

// converse takes a conversation over UDP.
func (o *outside) converse(r *udp.ForwarderRequest) (handled bool) {
	to := destination(r.ID())
	if !o.udp.take() {
		return true // lost
	}
	if !o.pod.network.flows.take() {
		o.udp.give()
		return true
	}
	done := func() {
		o.pod.network.flows.give()
		o.udp.give()
	}
	there, err := o.dial(o.life, "udp", to)
	if err != nil {
		done()
		return false
	}
	var queue waiter.Queue
	endpoint, failed := r.CreateEndpoint(&queue)
	if failed != nil {
		_ = there.Close()
		done()
		return true
	}
	o.flows.Go(func() {
		defer done()
		exchange(o.life, gonet.NewUDPConn(&queue, endpoint), there)
	})
	return true
}

func destination(id stack.TransportEndpointID) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(id.LocalAddress.As4()), id.LocalPort)
}

// errNobody is how a network says that nobody is there.
var errNobody error = syscall.ECONNREFUSED

// dial connects to what a pod calls `to`.
func (o *outside) dial(ctx context.Context, network string, to netip.AddrPort) (net.Conn, error) {
	var dialer net.Dialer
	switch a := to.Addr(); {
	case a == machine:
		here, err := dialer.DialContext(ctx, network, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port()).String())
		if err == nil || !errors.Is(err, syscall.ECONNREFUSED) {
			return here, err
		}
		return dialer.DialContext(ctx, network, netip.AddrPortFrom(netip.IPv6Loopback(), to.Port()).String())
	case a == entrance && to.Port() == 80 && network == "tcp":
		return dialer.DialContext(ctx, network, o.pod.network.config.Entrance)
	case Pods.Contains(a):
		if p := o.pod.network.find(a); p != nil {
			return p.space.dial(ctx, network, to.String())
		}
		return nil, errNobody
	case subnet.Contains(a), a.IsLoopback(), a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return nil, errNobody
	}
	return dialer.DialContext(ctx, network, to.String())
}
