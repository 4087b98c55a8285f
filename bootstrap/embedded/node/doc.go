// Package node is the node of a box without a container engine: it does what
// a kubelet does, and its pods are processes of this machine.
//
//	API server --watch: pods of this Node--> node --images, processes--> serving/runner
//	           <--status, events-------------  |
//	           --kubectl logs, exec, port-forward--> endpoint
//
// A pod is one goroutine, pod.run, which starts one for every container; a
// container is a loop: pull, configure, start, watch, restart. What they know
// is in one record, from which one more goroutine writes the pod's status
// whenever it is not what the API server has. So nothing that starts a pod
// waits for the API server. What others read of a pod, status, conditions,
// reasons and events, is as a kubelet has it.
//
// # Addresses
//
// Every pod has an address of its own in 127.0.0.0/8, and, where the kernel and
// the rights allow, a network of its own, in which its processes are: see package network
// for what it is made of. Its queue-proxy is handed the listener at the pod's address,
// since nothing else of the pod is on the machine's network.
//
// Without one, a process that listens on all addresses, as nearly every server does,
// would take its port from all other pods. So the port called user-port is given a number that is free on
// this machine, and so are the environment variables that tell a process of
// it, PORT and USER_PORT. Where the machine has 127.0.0.1 alone, as macOS, all
// pods are there, and queue-proxy's ports are given free numbers too. The
// pod's spec cannot be changed: the annotation devbox.dev/ports, written with
// the first status, has the numbers.
//
// # What it does not do
//
// What a process cannot have at all is refused with a reason, see
// [Unsupported]. Limits on CPU and memory are not enforced, and fsGroup is not
// applied. A pod is run as it was first seen: a volume made of a ConfigMap or
// Secret is not changed while its pod runs, nor is an image. There is no
// attach. Scheduling is no more than binding: a pod that asks for no
// scheduler of its own is bound to this Node.
package node
