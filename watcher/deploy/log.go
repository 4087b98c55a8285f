package deploy

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

const (
	logLines   = 10
	logTimeout = 2 * time.Second
)

// log is lastLines of the revision's pods.
func (w *waiting) log(ctx context.Context) []string { return w.lastLines(ctx, standing(w.now.pods)) }

// lastLines are those of the user's container that is in trouble, or of the
// first. None is better than a wait for it.
func (d *Deployer) lastLines(ctx context.Context, pods []corev1.Pod) []string {
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	for _, pod := range pods {
		all := containers(pod)
		if len(all) == 0 {
			continue
		}
		c := speaker(all)
		// A container that was started again has nothing to say yet, or not
		// what ended the one before.
		again := c.State.Terminated == nil && c.LastTerminationState.Terminated != nil
		if lines := d.tail(ctx, pod, c.Name, again); len(lines) > 0 {
			return lines
		}
		return d.tail(ctx, pod, c.Name, !again)
	}
	return nil
}

// speaker is the container that has something to say: one that has ended, else
// the first that runs.
func speaker(all []corev1.ContainerStatus) corev1.ContainerStatus {
	for _, says := range []func(corev1.ContainerStatus) bool{
		func(c corev1.ContainerStatus) bool { return ended(c) != nil },
		func(c corev1.ContainerStatus) bool { return c.State.Running != nil },
	} {
		if i := slices.IndexFunc(all, says); i >= 0 {
			return all[i]
		}
	}
	return all[0]
}

func (d *Deployer) tail(ctx context.Context, pod corev1.Pod, container string, previous bool) []string {
	lines := int64(logLines)
	data, err := d.pods.Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{
		Container: container, TailLines: &lines, Previous: previous,
	}).DoRaw(ctx)
	if err != nil {
		return nil
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}
