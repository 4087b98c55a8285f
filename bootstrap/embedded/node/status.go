package node

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"
)

// hostIP is the address of every node: this machine's.
const hostIP = "127.0.0.1"

// observed is what the node knows of a pod beyond its spec.
type observed struct {
	accepted time.Time // when the node first saw it
	address  string    // "" while it has none
	init     []corev1.ContainerStatus
	main     []corev1.ContainerStatus
	refusal  *refusal // why the node does not run it
	over     bool     // nothing of it runs, nor ever will
}

// refusal is why a pod is not run, in a word and in a sentence.
type refusal struct{ reason, message string }

// waitingFor are the statuses of containers that have not been started yet.
func waitingFor(containers []corev1.Container, reason string, earlier []corev1.ContainerStatus) []corev1.ContainerStatus {
	var all []corev1.ContainerStatus
	for _, c := range containers {
		s := corev1.ContainerStatus{
			Name: c.Name, Image: c.Image,
			State:   corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}},
			Started: new(false),
		}
		// A container that ran before the node was started again is a restart.
		// How it ended nobody saw, so nothing is claimed of that.
		if before, ok := podutil.GetContainerStatus(earlier, c.Name); ok && before.ContainerID != "" {
			s.RestartCount = before.RestartCount + 1
			s.LastTerminationState = before.LastTerminationState
		}
		all = append(all, s)
	}
	return all
}

// podStatus is what a kubelet writes of pod. Conditions that are not a
// kubelet's, and the times of those that have not changed, are pod's own.
//
//	refusal                                       Failed
//	an init container has not ended well          Pending, or Failed if it is not run again
//	a container was never started                 Pending
//	a container runs, or will run again           Running
//	all have ended, and well                      Succeeded
//	all have ended                                Failed
func podStatus(pod *corev1.Pod, o observed, now time.Time) corev1.PodStatus {
	s := *pod.Status.DeepCopy()
	s.ObservedGeneration = pod.Generation
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	s.StartTime = &metav1.Time{Time: o.accepted}
	s.Reason, s.Message = "", ""
	s.InitContainerStatuses, s.ContainerStatuses = o.init, o.main
	s.Phase = phase(&pod.Spec, o)
	if o.refusal != nil {
		s.Reason, s.Message = o.refusal.reason, o.refusal.message
	}
	s.PodIP, s.PodIPs = o.address, nil
	if o.address != "" {
		s.PodIPs = []corev1.PodIP{{IP: o.address}}
	}
	for _, c := range conditions(pod, o, s.Phase) {
		setCondition(&s, c, pod.Generation, now)
	}
	return s
}

func phase(spec *corev1.PodSpec, o observed) corev1.PodPhase {
	if o.refusal != nil {
		return corev1.PodFailed
	}
	if p := initPhase(spec, o.init); p != "" {
		return p
	}
	var running, stopped, well int
	for _, s := range o.main {
		switch {
		case s.State.Running != nil:
			running++
		case s.State.Terminated != nil:
			stopped++
			if s.State.Terminated.ExitCode == 0 {
				well++
			}
		case s.RestartCount == 0 && s.LastTerminationState.Terminated == nil:
			return corev1.PodPending
		}
	}
	restarts := spec.RestartPolicy == corev1.RestartPolicyAlways || spec.RestartPolicy == "" ||
		spec.RestartPolicy == corev1.RestartPolicyOnFailure && well < stopped
	switch {
	case running > 0, stopped < len(o.main), restarts && !o.over:
		return corev1.PodRunning
	case well == stopped:
		return corev1.PodSucceeded
	}
	return corev1.PodFailed
}

// initPhase is the phase of a pod whose init containers are not all done, ""
// if they are.
func initPhase(spec *corev1.PodSpec, statuses []corev1.ContainerStatus) corev1.PodPhase {
	for i, s := range statuses {
		if initialized(&spec.InitContainers[i], s) {
			continue
		}
		t := s.State.Terminated
		if t != nil && t.ExitCode != 0 && !podutil.ContainerShouldRestart(spec.InitContainers[i], *spec, t.ExitCode) {
			return corev1.PodFailed
		}
		return corev1.PodPending
	}
	return ""
}

// initialized says whether the containers after this one may start.
func initialized(c *corev1.Container, s corev1.ContainerStatus) bool {
	if podutil.IsRestartableInitContainer(c) {
		return isTrue(s.Started) || s.State.Terminated != nil || s.LastTerminationState.Terminated != nil
	}
	return s.State.Terminated != nil && s.State.Terminated.ExitCode == 0
}

// The reasons of a kubelet for its conditions.
const (
	podCompleted             = "PodCompleted"
	podFailed                = "PodFailed"
	containersNotReady       = "ContainersNotReady"
	containersNotInitialized = "ContainersNotInitialized"
	readinessGatesNotReady   = "ReadinessGatesNotReady"
)

// conditions are a kubelet's, in its order.
func conditions(pod *corev1.Pod, o observed, phase corev1.PodPhase) []corev1.PodCondition {
	started := condition(corev1.PodReadyToStartContainers, o.address != "", "", "")
	containers := containersReady(pod, o, phase)
	ready := containers
	ready.Type = corev1.PodReady
	if missing := gates(pod); containers.Status == corev1.ConditionTrue && missing != "" {
		ready = condition(corev1.PodReady, false, readinessGatesNotReady, missing)
	}
	return []corev1.PodCondition{
		started, isInitialized(pod, o, phase), ready, containers,
		condition(corev1.PodScheduled, true, "", ""),
	}
}

func isInitialized(pod *corev1.Pod, o observed, phase corev1.PodPhase) corev1.PodCondition {
	if phase == corev1.PodSucceeded {
		return condition(corev1.PodInitialized, true, podCompleted, "")
	}
	var incomplete []string
	for i, s := range o.init {
		if !initialized(&pod.Spec.InitContainers[i], s) {
			incomplete = append(incomplete, s.Name)
		}
	}
	if len(incomplete) > 0 {
		return condition(corev1.PodInitialized, false, containersNotInitialized,
			fmt.Sprintf("containers with incomplete status: %s", incomplete))
	}
	return condition(corev1.PodInitialized, true, "", "")
}

func containersReady(pod *corev1.Pod, o observed, phase corev1.PodPhase) corev1.PodCondition {
	switch phase {
	case corev1.PodSucceeded:
		return condition(corev1.ContainersReady, false, podCompleted, "")
	case corev1.PodFailed:
		return condition(corev1.ContainersReady, false, podFailed, "")
	}
	var unready []string
	for i, s := range o.init {
		if podutil.IsRestartableInitContainer(&pod.Spec.InitContainers[i]) && !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	for _, s := range o.main {
		if !s.Ready {
			unready = append(unready, s.Name)
		}
	}
	if len(unready) > 0 {
		return condition(corev1.ContainersReady, false, containersNotReady,
			fmt.Sprintf("containers with unready status: %s", unready))
	}
	return condition(corev1.ContainersReady, true, "", "")
}

// gates says which of the pod's readiness gates, conditions that others
// write, are not true yet.
func gates(pod *corev1.Pod) string {
	var missing []string
	for _, g := range pod.Spec.ReadinessGates {
		_, c := podutil.GetPodCondition(&pod.Status, g.ConditionType)
		switch {
		case c == nil:
			missing = append(missing, fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", g.ConditionType))
		case c.Status != corev1.ConditionTrue:
			missing = append(missing, fmt.Sprintf("the status of pod readiness gate %q is not \"True\", but %v", g.ConditionType, c.Status))
		}
	}
	return strings.Join(missing, ", ")
}

func condition(t corev1.PodConditionType, is bool, reason, message string) corev1.PodCondition {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	return corev1.PodCondition{Type: t, Status: status, Reason: reason, Message: message}
}

// setCondition puts c in the place of the condition of its type. Its time is
// that of the last change from true to false or back.
func setCondition(s *corev1.PodStatus, c corev1.PodCondition, generation int64, now time.Time) {
	c.ObservedGeneration = generation
	c.LastTransitionTime = metav1.NewTime(now)
	i := slices.IndexFunc(s.Conditions, func(old corev1.PodCondition) bool { return old.Type == c.Type })
	if i < 0 {
		s.Conditions = append(s.Conditions, c)
		return
	}
	if s.Conditions[i].Status == c.Status {
		c.LastTransitionTime = s.Conditions[i].LastTransitionTime
	}
	s.Conditions[i] = c
}
