package node

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// userPortName is the container port whose number is the node's to choose: a
// process listens on all addresses of the machine, so the number that is the
// same in every pod cannot be the one it listens on.
const userPortName = "user-port"

// portVariables are the environment variables that tell a container which
// port that is.
var portVariables = map[string]bool{"PORT": true, "USER_PORT": true}

// userPort returns the number of spec's user-port, 0 if it has none.
func userPort(spec *corev1.PodSpec) int32 {
	for _, c := range spec.Containers {
		for _, p := range c.Ports {
			if p.Name == userPortName {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// moveUserPort makes spec say `to` wherever it says its user-port's number
// and the node or a process acts on it: in the port, in the variables, probes
// and hooks.
func moveUserPort(spec *corev1.PodSpec, to int32) {
	from := userPort(spec)
	if from == 0 {
		return
	}
	m := mover{from, to}
	for i := range spec.InitContainers {
		m.container(&spec.InitContainers[i])
	}
	for i := range spec.Containers {
		m.container(&spec.Containers[i])
	}
}

type mover struct{ from, to int32 }

func (m mover) container(c *corev1.Container) {
	for i := range c.Ports {
		if c.Ports[i].Name == userPortName {
			c.Ports[i].ContainerPort = m.to
		}
	}
	for i := range c.Env {
		if portVariables[c.Env[i].Name] && c.Env[i].Value == strconv.Itoa(int(m.from)) {
			c.Env[i].Value = strconv.Itoa(int(m.to))
		}
	}
	for _, p := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		if p == nil {
			continue
		}
		m.handler(p.HTTPGet, p.TCPSocket)
		if p.GRPC != nil && p.GRPC.Port == m.from {
			p.GRPC.Port = m.to
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

// handler moves the port of a request. Only the container that has user-port
// can use its name, but all containers of a pod share its numbers.
func (m mover) handler(get *corev1.HTTPGetAction, tcp *corev1.TCPSocketAction) {
	if get != nil {
		m.port(&get.Port)
	}
	if tcp != nil {
		m.port(&tcp.Port)
	}
}

func (m mover) port(p *intstr.IntOrString) {
	if p.Type == intstr.Int && p.IntVal == m.from {
		p.IntVal = m.to
	}
}
