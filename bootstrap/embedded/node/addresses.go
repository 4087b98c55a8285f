package node

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// queuePorts are what queue-proxy listens on at its pod's address. One that
// another process of the machine has such a port of is no pod's: there may be
// a second box.
var queuePorts = map[string]int32{
	servingv1.HTTPPortName:       servingv1.HTTPPort,
	servingv1.QueueAdminPortName: servingv1.QueueAdminPort,
	servingv1.AutometricPortName: servingv1.AutometricPort,
	servingv1.UsermetricPortName: servingv1.UsermetricPort,
}

// Ports are chosen from a range below those that the kernel gives to
// connections (from 32768 on Linux, from 49152 on macOS), so that no outgoing
// connection has one.
const (
	firstPort = 20000
	lastPort  = 29999
)

// attempts bounds the search for a free address or port. Nearly all are free.
const attempts = 1000

// addresses gives each pod an address of its own in network.Pods and a
// user-port that is free on all addresses of the machine. On a machine that
// has one loopback address, all pods have that, and each has queue-proxy's
// ports of its own too.
type addresses struct {
	one bool // there is one address

	mu    sync.Mutex
	taken map[netip.Addr]bool
	ports map[int32]bool
}

func newAddresses(one bool) *addresses {
	return &addresses{one: one, taken: map[netip.Addr]bool{}, ports: map[int32]bool{}}
}

// hasOneAddress says that processes of this machine can listen on 127.0.0.1
// and on none of the other addresses in 127.0.0.0/8.
func hasOneAddress() bool { return bindable("127.254.254.254", 0) != nil }

// place is where a pod can be reached.
type place struct {
	address netip.Addr
	ports   map[string]int32 // those that are not as in the pod's spec, by name
}

// annotations are what the pod says of its place that its status cannot.
func (p place) annotations() map[string]string {
	if len(p.ports) == 0 {
		return nil
	}
	return map[string]string{servingv1.PortsAnnotation: servingv1.FormatPorts(p.ports)}
}

// placeBefore is the place that a pod had when the node ran before.
func placeBefore(pod *corev1.Pod) place {
	address, _ := netip.ParseAddr(pod.Status.PodIP) // none, where it is none
	return place{address, servingv1.ChosenPorts(pod.Annotations)}
}

// take returns a free place for a pod of spec, until give is called. It has
// what is still free of the place before, since others may still think that
// the pod is there. A pod that owns its network needs no other ports than those of its
// spec.
func (a *addresses) take(before place, spec *corev1.PodSpec, owns bool) (place, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	address, err := a.address(before.address)
	if err != nil {
		return place{}, err
	}
	p := place{address, map[string]int32{}}
	for _, name := range a.chosen(spec, owns) {
		port, err := a.port(before.ports[name])
		if err != nil {
			a.free(p)
			return place{}, err
		}
		p.ports[name], a.ports[port] = port, true
	}
	a.taken[address] = true
	return p, nil
}

func (a *addresses) give(p place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free(p)
}

func (a *addresses) free(p place) {
	delete(a.taken, p.address)
	for _, port := range p.ports {
		delete(a.ports, port)
	}
}

// chosen are the ports of spec whose numbers, the same in every pod, cannot
// be those that are listened on.
func (a *addresses) chosen(spec *corev1.PodSpec, owns bool) []string {
	if owns {
		return nil
	}
	names := []string{servingv1.UserPortName}
	if a.one {
		names = slices.AppendSeq(names, maps.Keys(queuePorts))
	}
	return slices.DeleteFunc(names, func(name string) bool { return portNumber(spec, name) == 0 })
}

func (a *addresses) address(before netip.Addr) (netip.Addr, error) {
	if a.one {
		return netip.MustParseAddr(hostIP), nil
	}
	if network.Pods.Contains(before) && a.usable(before) == nil {
		return before, nil
	}
	var err error
	for range attempts {
		addr := network.RandomPod()
		if err = a.usable(addr); err == nil {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("finding a free loopback address: %w", err)
}

var errTaken = errors.New("another pod has it")

func (a *addresses) usable(addr netip.Addr) error {
	if a.taken[addr] {
		return errTaken
	}
	for _, port := range queuePorts {
		if err := bindable(addr.String(), port); err != nil {
			return err
		}
	}
	return nil
}

func (a *addresses) port(before int32) (int32, error) {
	if firstPort <= before && before <= lastPort && a.open(before) == nil {
		return before, nil
	}
	var err error
	for range attempts {
		port := int32(firstPort + rand.IntN(lastPort-firstPort+1))
		if err = a.open(port); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("finding a free port: %w", err)
}

// open is nil for a port that nobody has, neither on all addresses nor, which
// is not the same everywhere, on the one that processes ask each other at.
func (a *addresses) open(port int32) error {
	if a.ports[port] {
		return errTaken
	}
	return errors.Join(bindable("", port), bindable(hostIP, port))
}

// bindable is nil if a process could listen there now.
func bindable(host string, port int32) error {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	return l.Close()
}
