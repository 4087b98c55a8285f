package deploy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// failure says why a revision will not answer, if it is so. The pod is looked
// at first, because it knows first and best.
//
//	ready                              what its pods went through is past
//	a container has ended              how it did
//	a condition of it is false         the condition's words
//	there is none, nor will there be   the Service's words
func failure(now state, generation int64) (reason string, failed bool) {
	rev, s := now.revision, now.service
	switch {
	case rev != nil && rev.Status.IsTrue(servingv1.ConditionReady):
		return "", false
	case rev != nil:
		for _, pod := range standing(now.pods) {
			for _, c := range containers(pod) {
				if t := ended(c); t != nil {
					return fmt.Sprintf("container %s %s", c.Name, ending(t)), true
				}
			}
		}
		return refusal(&rev.Status.Status, servingv1.RevisionContainerHealthy, servingv1.RevisionResourcesAvailable, servingv1.ConditionReady)
	case s != nil && s.Status.ObservedGeneration >= generation:
		return refusal(&s.Status.Status, servingv1.ServiceConfigurationsReady)
	}
	return "", false
}

// final says of a revision that has been failing for a time whether that is the
// last word. What mends itself is waited for, each for as long as somebody tries:
//
//	there is none, nor will there be   final at once
//	its progress deadline has passed   final
//	it cannot be started               final at once, unless the machine had no room
//	its image's name is none           final at once
//	its image is not to be had         after giveUp: the controller asks every 5 s, and sets no deadline
//	a container has ended              when its progress deadline has passed
func final(now state, failing time.Duration) bool {
	rev := now.revision
	switch {
	case rev == nil || hasReason(rev, servingv1.RevisionResourcesAvailable, servingv1.ReasonProgressDeadlineExceeded):
		return true
	case hasReason(rev, servingv1.RevisionContainerHealthy, servingv1.ReasonContainerMissing):
		return failing >= giveUp || !servable(&rev.Spec.PodSpec)
	}
	for _, pod := range standing(now.pods) {
		for _, c := range containers(pod) {
			if t := ended(c); t != nil && t.Reason == "StartError" && !noRoom(t.Message) {
				return true
			}
		}
	}
	return false
}

// hasReason says whether a condition of a revision is false for a reason.
func hasReason(rev *servingv1.Revision, t servingv1.ConditionType, reason string) bool {
	return rev.Status.IsFalse(t) && rev.Status.Condition(t).Reason == reason
}

// notPulled says whether a revision has failed because a node could not take an
// image of its pod.
func notPulled(rev *servingv1.Revision) bool {
	return rev != nil && slices.ContainsFunc(rev.Status.Conditions, func(c servingv1.Condition) bool {
		return c.Status == corev1.ConditionFalse && (c.Reason == "ErrImagePull" || c.Reason == "ImagePullBackOff")
	})
}

// servable says whether every image of a pod has a name that a registry could
// know.
func servable(p *servingv1.PodSpec) bool {
	return !slices.ContainsFunc(described(p), func(c *servingv1.Container) bool {
		_, err := name.ParseReference(c.Image, name.WeakValidation)
		return err != nil
	})
}

// noRoom says whether a container did not start for what the machine lacked in
// that moment, by the system's words.
func noRoom(words string) bool {
	return slices.ContainsFunc([]syscall.Errno{
		syscall.EAGAIN, syscall.ENOMEM, syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC, syscall.ETXTBSY,
	}, func(e syscall.Errno) bool { return strings.Contains(words, e.Error()) })
}

// refusal is what the first false condition says.
func refusal(s *servingv1.Status, conditions ...servingv1.ConditionType) (words string, refused bool) {
	for _, t := range conditions {
		if s.IsFalse(t) {
			c := s.Condition(t)
			return cmp.Or(c.Message, c.Reason), true
		}
	}
	return "", false
}

// delay says what a revision that has not failed is waiting for.
func delay(now state, r *Rollout) string {
	if now.revision == nil {
		if now.service != nil {
			if c := now.service.Status.Condition(servingv1.ConditionReady); c != nil && c.Message != "" {
				return "there is no revision yet: " + c.Message
			}
		}
		return "there is no revision yet"
	}
	if reason := rolling(now); reason != "" {
		return reason
	}
	pods := standing(now.pods)
	if len(pods) == 0 {
		if c := now.revision.Status.Condition(servingv1.RevisionResourcesAvailable); c != nil && c.Message != "" {
			return "there is no pod yet: " + c.Message
		}
		return "there is no pod yet"
	}
	if now.revision.Status.IsTrue(servingv1.ConditionReady) {
		return "it is ready, and the gateway does not send requests to it yet"
	}
	pod := pods[0]
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return "no node takes its pod: " + cmp.Or(c.Message, c.Reason)
		}
	}
	for _, c := range append(containers(pod), queueContainer(pod)...) {
		if w := c.State.Waiting; w != nil {
			return fmt.Sprintf("container %s is waiting: %s", c.Name, join(w.Reason, cmp.Or(w.Message, now.warned[failedMount])))
		}
	}
	if len(containers(pod)) == 0 {
		return "its containers are being created"
	}
	if said := now.warned[notListening]; said != "" {
		return said
	}
	if probe := probing(pod); probe != "" {
		return probe
	}
	if r.probed {
		return "it does not pass its readiness probe"
	}
	return fmt.Sprintf("it does not listen on port %d, which $PORT names", r.port)
}

// probing says which of kubelet's probes of the user's containers has not passed
// yet, "" where none is waited for.
func probing(pod corev1.Pod) string {
	states := map[string]corev1.ContainerStatus{}
	for _, s := range containers(pod) {
		states[s.Name] = s
	}
	for _, c := range append(slices.Clone(pod.Spec.InitContainers), pod.Spec.Containers...) {
		s, ours := states[c.Name]
		switch {
		case !ours || s.State.Running == nil || s.Ready:
		case c.StartupProbe != nil && (s.Started == nil || !*s.Started):
			return fmt.Sprintf("container %s has not passed its startup probe", c.Name)
		case c.ReadinessProbe != nil:
			return fmt.Sprintf("container %s does not pass its readiness probe", c.Name)
		}
	}
	return ""
}

// standing are the pods that are not on their way out.
func standing(pods []corev1.Pod) []corev1.Pod {
	var kept []corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil {
			kept = append(kept, p)
		}
	}
	return kept
}

// containers are the states of the user's containers, those that run first
// before those that run on, and sidecars that have started after them.
func containers(pod corev1.Pod) []corev1.ContainerStatus {
	var all, sidecars []corev1.ContainerStatus
	for _, c := range pod.Status.InitContainerStatuses {
		switch t := c.State.Terminated; {
		case t != nil && t.ExitCode == 0: // one that ended well has done its part
		case c.State.Running != nil && c.Started != nil && *c.Started:
			sidecars = append(sidecars, c)
		default:
			all = append(all, c)
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name != servingv1.QueueContainer {
			all = append(all, c)
		}
	}
	return append(all, sidecars...)
}

func queueContainer(pod corev1.Pod) []corev1.ContainerStatus {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == servingv1.QueueContainer {
			return []corev1.ContainerStatus{c}
		}
	}
	return nil
}

// ended is how a container last ended, or nil if it never did.
func ended(c corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastTerminationState.Terminated
}

func ending(t *corev1.ContainerStateTerminated) string {
	words := fmt.Sprintf("exited with code %d", t.ExitCode)
	if t.Signal != 0 {
		words = fmt.Sprintf("was ended by signal %d", t.Signal)
	}
	if t.Reason != "" && t.Reason != "Error" && t.Reason != "Completed" {
		words += " (" + t.Reason + ")"
	}
	if t.Message != "" {
		words += ": " + t.Message
	}
	return words
}

func join(reason, message string) string {
	if message == "" {
		return reason
	}
	return reason + ": " + message
}
