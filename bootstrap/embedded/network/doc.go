// Package network gives each pod of a box without a container engine a network
// of its own, where the kernel and the rights of the caller allow it: as root.
//
//	pod's network namespace                  box's process, in the machine's namespace
//	  lo    127.0.0.0/8, pod's address  <──  Dial: a socket made in the namespace
//	  eth0  192.0.0.2, a tun device     ──>  egress: a user-space TCP/IP stack
//	                                           ├─ 192.0.0.3:53   names
//	                                           ├─ 192.0.0.1      the machine's loopback
//	                                           ├─ 192.0.0.4:80   the box's entrance
//	                                           ├─ 127.64.0.0/10  other pods
//	                                           └─ all else       as the machine dials it
//
// What comes in never meets the stack: the box's process makes a socket inside
// the namespace and uses it from outside. What goes out is packets on the tun
// device, which the stack of gvisor.dev/gvisor ends in connections that the box
// dials like any program of the machine. A pod that never calls anybody has no
// stack.
//
// Nothing of the machine's own network is changed: no bridge, no address, no
// rule of iptables.
//
// # Limits
//
// A pod has at most [maxFlows] connections and as many conversations over UDP
// at a time, all pods together at most a quarter of the files that the process
// may open, and [maxDialing] connections of a pod are dialled at a time. What is
// more waits, as on a network that loses packets.
package network
