package network

import (
	"math/rand/v2"
	"net/netip"
)

// What a pod sees beside its own address is the same in every pod, since each
// has a stack of its own. 192.0.0.0/29 is set aside for such translators (RFC
// 7335), so no network that a developer wants to reach has it.
var (
	subnet   = netip.MustParsePrefix("192.0.0.0/29")
	machine  = netip.MustParseAddr("192.0.0.1")
	inside   = netip.MustParseAddr("192.0.0.2")
	names    = netip.MustParseAddr("192.0.0.3")
	entrance = netip.MustParseAddr("192.0.0.4")
)

// Machine is the name by which a pod reaches the machine, as MachineAddress.
const Machine = "host.devbox.internal"

// MachineAddress leads from a pod with a network of its own to the machine's
// loopback.
func MachineAddress() netip.Addr { return machine }

// NameServer is the one of a pod with a network of its own.
func NameServer() netip.Addr { return names }

// Entrance leads to the box's entrance, at port 80.
func Entrance() netip.Addr { return entrance }

// Pods are the addresses of pods. They lie in the machine's loopback network,
// so that queue-proxy can be reached on the machine and nowhere else; a pod
// reaches other pods by them too.
var Pods = netip.MustParsePrefix("127.64.0.0/10")

// RandomPod is an address in Pods.
func RandomPod() netip.Addr {
	return netip.AddrFrom4([4]byte{127, byte(64 + rand.IntN(64)), byte(rand.IntN(256)), byte(1 + rand.IntN(254))})
}
