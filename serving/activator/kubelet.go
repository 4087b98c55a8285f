package activator

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
)

// cleared says that kubelet has nothing against p's taking requests, of what
// queue-proxy does not know:
//
//	a container with a startup probe, or a readiness probe that is kubelet's    it is ready
//	any other but the serving one                                              it has not ended
//
// Where there is neither, nobody waits for kubelet's word, which may take a
// second.
func cleared(p *corev1.Pod) bool {
	for _, c := range p.Spec.InitContainers {
		if !clears(c, p.Status.InitContainerStatuses) {
			return false
		}
	}
	for _, c := range p.Spec.Containers {
		if !clears(c, p.Status.ContainerStatuses) {
			return false
		}
	}
	return true
}

// clears is cleared for one container, by its status if there is one yet.
func clears(c corev1.Container, statuses []corev1.ContainerStatus) bool {
	if c.Name == servingv1.QueueContainer || c.Name == mesh.ProxyContainer {
		return true // the activator asks the one, and through the other
	}
	i := slices.IndexFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == c.Name })
	if c.StartupProbe != nil || c.ReadinessProbe != nil {
		return i >= 0 && statuses[i].Ready
	}
	serving := slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == servingv1.UserPortName })
	return serving || i < 0 || !down(statuses[i])
}

// down says that a container has ended and does not run again yet.
func down(s corev1.ContainerStatus) bool {
	return s.State.Terminated != nil || s.State.Waiting != nil && s.LastTerminationState.Terminated != nil
}

// slimContainers keeps of containers what a table needs, and of those that run
// first only the ones that run on.
func slimContainers(spec corev1.PodSpec) (init, main []corev1.Container) {
	slim := func(c corev1.Container) corev1.Container {
		kept := corev1.Container{Name: c.Name, Ports: c.Ports}
		if c.StartupProbe != nil {
			kept.StartupProbe = &corev1.Probe{}
		}
		if c.ReadinessProbe != nil {
			kept.ReadinessProbe = &corev1.Probe{}
		}
		return kept
	}
	for _, c := range spec.InitContainers {
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			init = append(init, slim(c))
		}
	}
	for _, c := range spec.Containers {
		main = append(main, slim(c))
	}
	return init, main
}

// slimStatuses keeps of statuses what clears needs.
func slimStatuses(statuses []corev1.ContainerStatus) []corev1.ContainerStatus {
	var slim []corev1.ContainerStatus
	for _, s := range statuses {
		kept := corev1.ContainerStatus{Name: s.Name, Ready: s.Ready}
		if s.State.Terminated != nil {
			kept.State.Terminated = &corev1.ContainerStateTerminated{}
		}
		if s.State.Waiting != nil {
			kept.State.Waiting = &corev1.ContainerStateWaiting{}
		}
		if s.LastTerminationState.Terminated != nil {
			kept.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{}
		}
		slim = append(slim, kept)
	}
	return slim
}
