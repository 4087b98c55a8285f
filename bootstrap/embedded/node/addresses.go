package node

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
)

// An address that another process of the machine has a port of is no pod's:
// there may be a second box.
var podPorts = []uint16{8012, 8022, 9090, 9091}

// User ports come from a range below those the kernel gives to connections
// (32768-60999 on Linux), so that no outgoing connection has one.
const (
	firstUserPort = 20000
	lastUserPort  = 29999
)

// attempts bounds the search for a free address or port. Nearly all are free.
const attempts = 1000

// addresses gives each pod an address of its own in 127.0.0.0/8 and a port
// that is free on all addresses of the machine.
type addresses struct {
	mu    sync.Mutex
	taken map[netip.Addr]bool
	ports map[int32]bool
}

func newAddresses() *addresses {
	return &addresses{taken: map[netip.Addr]bool{}, ports: map[int32]bool{}}
}

// place is where a pod can be reached.
type place struct {
	address netip.Addr
	port    int32 // of the user container, if asked for
}

// take returns a free place until give is called. It has the address a pod
// had before, if that is still free.
func (a *addresses) take(before string, withPort bool) (place, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	address, err := a.address(before)
	if err != nil {
		return place{}, err
	}
	p := place{address: address}
	if withPort {
		if p.port, err = a.port(); err != nil {
			return place{}, err
		}
		a.ports[p.port] = true
	}
	a.taken[address] = true
	return p, nil
}

func (a *addresses) give(p place) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.taken, p.address)
	delete(a.ports, p.port)
}

func (a *addresses) address(before string) (netip.Addr, error) {
	if addr, err := netip.ParseAddr(before); err == nil && isPods(addr) && a.free(addr) == nil {
		return addr, nil
	}
	var err error
	for range attempts {
		addr := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(254)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
		if err = a.free(addr); err == nil {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("finding a free loopback address: %w", err)
}

// isPods says whether addr may be a pod's: 127.0.0.x are the machine's own.
func isPods(addr netip.Addr) bool {
	b := addr.As16()
	return addr.Is4() && addr.IsLoopback() && b[13] != 0
}

var errTaken = errors.New("another pod has it")

func (a *addresses) free(addr netip.Addr) error {
	if a.taken[addr] {
		return errTaken
	}
	for _, port := range podPorts {
		if err := bindable(netip.AddrPortFrom(addr, port).String()); err != nil {
			return err
		}
	}
	return nil
}

func (a *addresses) port() (int32, error) {
	err := errTaken
	for range attempts {
		port := int32(firstUserPort + rand.IntN(lastUserPort-firstUserPort+1))
		if a.ports[port] {
			continue
		}
		if err = bindable(fmt.Sprintf(":%d", port)); err == nil {
			return port, nil
		}
	}
	return 0, fmt.Errorf("finding a free port: %w", err)
}

// bindable is nil if a process could listen on address now.
func bindable(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return l.Close()
}
