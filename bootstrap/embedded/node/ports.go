package node

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// portVariables are the environment variables that tell a process which port
// to listen on, or to ask.
var portVariables = map[string]bool{
	"PORT": true, "USER_PORT": true,
	"QUEUE_SERVING_PORT": true, "QUEUE_ADMIN_PORT": true, "QUEUE_AUTOMETRIC_PORT": true, "QUEUE_USERMETRIC_PORT": true,
}

// portNumber returns the number of spec's port called name, 0 if it has none.
func portNumber(spec *corev1.PodSpec, name string) int32 {
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// movePorts gives the ports of spec that `to` names the numbers there,
// wherever the node or a process acts on them: in the ports, in the
// variables, probes and hooks.
func movePorts(spec *corev1.PodSpec, to map[string]int32) {
	m := mover{names: to, numbers: map[int32]int32{}}
	for name, number := range to {
		m.numbers[portNumber(spec, name)] = number
	}
	for i := range spec.InitContainers {
		m.container(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		m.container(&spec.Containers[i])
	}
}

// mover has the new numbers of ports by their names, and by their old numbers.
type mover struct {
	names   map[string]int32
	numbers map[int32]int32
}

func (m mover) container(c *corev1.Container) {
	for i := range c.Ports {
		if to, ok := m.names[c.Ports[i].Name]; ok {
			c.Ports[i].ContainerPort = to
		}
	}
	for i := range c.Env {
		if portVariables[c.Env[i].Name] {
			m.variable(&c.Env[i])
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p == nil {
			continue
		}
		m.handler(p.HTTPGet, p.TCPSocket)
		if p.GRPC != nil {
			m.number(&p.GRPC.Port)
		}
	}
	if c.Lifecycle == nil {
		return
	}
	for _, h := range []*corev1.LifecycleHandler{c.Lifecycle.PostStart, c.Lifecycle.PreStop} {
		if h != nil {
			m.handler(h.HTTPGet, h.TCPSocket)
		}
	}
}

func (m mover) variable(e *corev1.EnvVar) {
	n, err := strconv.ParseInt(e.Value, 10, 32)
	if err != nil {
		return
	}
	if to, ok := m.numbers[int32(n)]; ok {
		e.Value = strconv.Itoa(int(to))
	}
}

// handler moves the port of a request. Only the container that has a port can
// use its name, but all containers of a pod share its numbers.
func (m mover) handler(get *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) {
	if get != nil {
		m.port(&get.Port)
	}
	if tcp != nil {
		m.port(&tcp.Port)
	}
}

func (m mover) port(p *intstr.IntOrString) {
	if p.Type == intstr.Int {
		m.number(&p.IntVal)
	}
}

func (m mover) number(n *int32) {
	if to, ok := m.numbers[*n]; ok {
		*n = to
	}
}
