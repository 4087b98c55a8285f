package node

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/network"
)

// portsOf is a spec with ports of these names.
func portsOf(names ...string) *corev1.PodSpec {
	var ports []corev1.ContainerPort
	for i, name := range names {
		ports = append(ports, corev1.ContainerPort{Name: name, ContainerPort: int32(8000 + i)})
	}
	return &corev1.PodSpec{Containers: []corev1.Container{{Ports: ports}}}
}

var servingPorts = portsOf("user-port", "queue-port", "http-queueadm", "http-autometric", "http-usermetric", "metrics")

// TestAddresses has each pod be where no other is.
func TestAddresses(t *testing.T) {
	if hasOneAddress() {
		t.Skip("this machine has one loopback address")
	}
	a := newAddresses(false)
	first := take(t, a, place{}, servingPorts)
	if !network.Pods.Contains(first.address) || !slices.Equal(slices.Collect(maps.Keys(first.ports)), []string{"user-port"}) {
		t.Errorf("got %v, want an address of its own and a port for the user", first)
	}
	second := take(t, a, first, servingPorts)
	if second.address == first.address || second.ports["user-port"] == first.ports["user-port"] {
		t.Errorf("got %v while that is %v", second, first)
	}
	a.give(first)
	if again := take(t, a, first, servingPorts); again.address != first.address || !maps.Equal(again.ports, first.ports) {
		t.Errorf("got %v after %v was given back", again, first)
	}
	if bare := take(t, a, place{}, portsOf("queue-port")); len(bare.ports) != 0 {
		t.Errorf("without a user-port: got %v", bare)
	}
}

// TestOneAddressHasPorts has each pod be where no other is, at one address.
func TestOneAddressHasPorts(t *testing.T) {
	a := newAddresses(true)
	ports := map[int32]bool{}
	var places []place
	for range 50 {
		p := take(t, a, place{}, servingPorts)
		if p.address.String() != "127.0.0.1" || len(p.ports) != 5 || p.ports["metrics"] != 0 {
			t.Fatalf("got %v", p)
		}
		for _, port := range p.ports {
			if port < firstPort || port > lastPort || ports[port] {
				t.Errorf("got port %d, which is taken or nobody's to take", port)
			}
			ports[port] = true
		}
		places = append(places, p)
	}
	a.give(places[0])
	if again := take(t, a, places[0], servingPorts); !maps.Equal(again.ports, places[0].ports) {
		t.Errorf("got %v after %v was given back", again, places[0])
	}
	if other := take(t, a, place{ports: map[string]int32{"user-port": 80, "queue-port": places[1].ports["queue-port"]}}, servingPorts); other.ports["user-port"] == 80 ||
		other.ports["queue-port"] == places[1].ports["queue-port"] {
		t.Errorf("got %v, which is another's", other)
	}
}

func take(t *testing.T, a *addresses, before place, spec *corev1.PodSpec) place {
	t.Helper()
	p, err := a.take(before, spec, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestWhatAnotherProcessHasIsNotTaken has a second box on the machine.
func TestWhatAnotherProcessHasIsNotTaken(t *testing.T) {
	one := newAddresses(true)
	free := take(t, one, place{}, servingPorts)
	one.give(free)
	theirs, err := net.Listen("tcp", netip.AddrPortFrom(free.address, uint16(free.ports["queue-port"])).String())
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	if p := take(t, one, free, servingPorts); p.ports["queue-port"] == free.ports["queue-port"] {
		t.Errorf("got %v", p)
	}
	if hasOneAddress() {
		return
	}
	address := netip.MustParseAddr("127.77.7.7")
	there, err := net.Listen("tcp", netip.AddrPortFrom(address, 8022).String())
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if p := take(t, newAddresses(false), place{address: address}, servingPorts); p.address == address {
		t.Errorf("got %v", p)
	}
}
