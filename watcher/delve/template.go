package delve

import (
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// PortAnnotation is on a template, and so on its pods, whose program runs under
// Delve: the port of the pod's loopback on which that listens.
const PortAnnotation = "kind-in-a-box.github.io/delve-port"

// progressDeadline is the longest there is: a program may stop before it
// listens.
const progressDeadline = "24h"

// Program is what is debugged of a service.
type Program struct {
	Delve   string   // where Delve is in the image
	Command []string // the image's own
	Port    int      // on the pod's loopback
	Timeout int64    // the longest that a service may ask for in the box, in seconds
}

// Port is the port for an image of a service. Where pods share the machine's
// network, two of them are not to have the same; so it goes by both. It lies
// above the ports that the embedded engine gives to pods and below those that
// Linux takes for connections out.
func Port(service, image string) int {
	const first, ports = 30000, 2000
	sum := fnv.New32a()
	_, _ = sum.Write([]byte(service + " " + image)) // which never fails
	return first + int(sum.Sum32()%ports)
}

// Template is a Service whose container that takes the requests runs its
// program under Delve, in exactly one pod, which nothing ends or takes out of
// the traffic while the program stands.
func Template(service *servingv1.Service, p Program) *servingv1.Service {
	s := service.DeepCopy()
	t := &s.Spec.Template
	maps.DeleteFunc(t.Annotations, func(key, _ string) bool { return strings.HasPrefix(key, servingv1.AutoscalingPrefix) })
	if t.Annotations == nil {
		t.Annotations = map[string]string{}
	}
	maps.Copy(t.Annotations, map[string]string{
		servingv1.AutoscalingPrefix + "min-scale": "1",
		servingv1.AutoscalingPrefix + "max-scale": "1",
		servingv1.ProgressDeadlineAnnotation:      progressDeadline,
		PortAnnotation:                            strconv.Itoa(p.Port),
	})
	t.Spec.TimeoutSeconds, t.Spec.ResponseStartTimeoutSeconds, t.Spec.IdleTimeoutSeconds = new(p.Timeout), new(p.Timeout), new(int64(0))
	if c := t.Spec.ServingContainer(); c != nil {
		// Without a readiness probe a container is ready while its port takes
		// connections, which the kernel takes for a program that stands.
		c.LivenessProbe, c.ReadinessProbe, c.StartupProbe = nil, nil, nil
		c.Resources.Limits = nil // they are the program's, without a debugger
		command := c.Command
		if len(command) == 0 {
			command = p.Command
		}
		c.Command = p.under(command)
	}
	return s
}

// under is the command line of Delve for a program's. It listens on the
// loopback alone: whoever speaks to it can do all that the program can.
func (p Program) under(command []string) []string {
	return slices.Concat([]string{
		p.Delve, "exec", "--headless", "--api-version=2", "--listen=127.0.0.1:" + strconv.Itoa(p.Port),
		"--accept-multiclient", "--continue",
		"--check-go-version=false", // it debugs what it can of a newer Go's
		"--only-same-user=false",   // port-forward comes as the node's user
		command[0], "--",
	}, command[1:])
}
