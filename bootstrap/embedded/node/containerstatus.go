package node

import (
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	podutil "k8s.io/kubernetes/pkg/api/v1/pod"

	"github.com/kind-in-a-box/devbox/serving/runner"
)

// startError is the exit code of a container that could not be started.
const startError = 128

// containerID is what the API server knows one life of a container by.
func containerID(name string) string { return "devbox://" + name }

// started says that the container runs.
func (c *container) started(process *runner.Process, image *runner.Image, name string) {
	up := c.spec.StartupProbe == nil
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(process.Started())}}
		s.ContainerID, s.ImageID = containerID(name), imageID(image)
		s.Started = &up
		s.Ready = up && c.spec.ReadinessProbe == nil
	})
	c.note(reasonCreated, "Created container: %s", c.spec.Name)
	c.note(reasonStarted, "Started container %s", c.spec.Name)
	if up {
		c.up.give()
	}
}

// ended says how the container's process did, and returns its code.
func (c *container) ended(process *runner.Process, number int32) int32 {
	exit := process.Exit()
	code := int32(exit.Code)
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	message := c.explainBind(c.lastWords(number, code))
	c.update(func(s *corev1.ContainerStatus) {
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: reason, Message: message, ContainerID: s.ContainerID,
			StartedAt: metav1.NewTime(process.Started()), FinishedAt: metav1.NewTime(exit.At),
		}}
		// An init container that has ended well is ready.
		s.Started, s.Ready = new(false), c.init && code == 0 && !podutil.IsRestartableInitContainer(c.spec)
	})
	return code
}

// failedToStart says that there is no process, and why.
func (c *container) failedToStart(err error) int32 {
	c.pod.node.numbers.failed.Add(1)
	now := metav1.Now()
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: startError, Reason: "StartError", Message: err.Error(), StartedAt: now, FinishedAt: now,
		}}
		s.Started, s.Ready = new(false), false
	})
	c.warn(reasonFailed, "Error: %s", err)
	return startError
}

// lastWords is the message that an ended container has left.
func (c *container) lastWords(number, code int32) string {
	const most = 4 << 10
	text, err := os.ReadFile(c.lastWordsPath(number))
	if err == nil && len(text) > 0 {
		return string(text[max(0, len(text)-most):])
	}
	if code != 0 && c.spec.TerminationMessagePolicy == corev1.TerminationMessageFallbackToLogsOnError {
		return lastWords(c.pod.logPath(c.spec.Name, number))
	}
	return ""
}

// waiting says that the container does not run yet, or not now.
func (c *container) waiting(reason, message string) {
	c.update(func(s *corev1.ContainerStatus) {
		keepLast(s)
		s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
		s.Ready = false
	})
}

// keepLast keeps how the container ended, as the end of the life before.
func keepLast(s *corev1.ContainerStatus) {
	if s.State.Terminated != nil {
		s.LastTerminationState = s.State
	}
}

// update changes the container's status.
func (c *container) update(change func(*corev1.ContainerStatus)) {
	c.pod.update(func(o *observed) {
		all := o.main
		if c.init {
			all = o.init
		}
		for i := range all {
			if all[i].Name == c.spec.Name {
				change(&all[i])
			}
		}
	})
}

// note and warn tell of the container.
func (c *container) note(reason, format string, args ...any) {
	c.pod.node.events.note(c.reference(), reason, format, args...)
}

func (c *container) warn(reason, format string, args ...any) {
	c.pod.node.events.warn(c.reference(), reason, format, args...)
}

func (c *container) reference() *corev1.ObjectReference {
	list := "containers"
	if c.init {
		list = "initContainers"
	}
	return podReference(c.pod.object, fmt.Sprintf("spec.%s{%s}", list, c.spec.Name))
}
