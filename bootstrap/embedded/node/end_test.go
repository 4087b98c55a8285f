package node

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestCrash(t *testing.T) {
	w := newWorld(t)
	pod := w.pod(corev1.PodSpec{Containers: []corev1.Container{{
		Name: "app", Args: []string{"exit", "3", "no", "database"}, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}}})
	pod = w.wait(pod, "a crash loop", waits("app", "CrashLoopBackOff"))
	s := state(pod, "app")
	last := s.LastTerminationState.Terminated
	if last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "no database\n" {
		t.Errorf("got the last state %+v", last)
	}
	if s.RestartCount != 1 || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("after the restart that comes at once: got %d restarts, phase %s", s.RestartCount, pod.Status.Phase)
	}
	for _, query := range []string{"", "previous=true"} {
		if got := w.logs(pod, "app", query); got != "no database\n" {
			t.Errorf("the log with %q is %q", query, got)
		}
	}
	if words := w.event(pod, reasonBackOff); !strings.HasPrefix(words, "Back-off restarting failed container app in pod") {
		t.Errorf("got the event %q", words)
	}
	w.delete(pod, nil)
	w.wait(pod, "the pod to be gone", isGone)
}

func TestPodThatEnds(t *testing.T) {
	w := newWorld(t)
	exit := func(name, code string) corev1.Container {
		return corev1.Container{Name: name, Args: []string{"exit", code, name}}
	}
	for name, c := range map[string]struct {
		spec  corev1.PodSpec
		phase corev1.PodPhase
	}{
		"well": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyOnFailure, InitContainers: []corev1.Container{exit("init", "0")},
			Containers: []corev1.Container{exit("a", "0"), exit("b", "0")},
		}, corev1.PodSucceeded},
		"badly": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{exit("a", "0"), exit("b", "4")},
		}, corev1.PodFailed},
		"before it began": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, InitContainers: []corev1.Container{exit("init", "5")},
			Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
		"with what stays beside it": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			InitContainers: []corev1.Container{{
				Name: "stays", Args: []string{"serve"}, RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Env: []corev1.EnvVar{{Name: "PORT", Value: "0"}},
			}},
			Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodSucceeded},
		"late": {corev1.PodSpec{
			ActiveDeadlineSeconds: new(int64(1)), TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{Name: "a", Args: []string{"wait"}}},
		}, corev1.PodFailed},
		"refused": {corev1.PodSpec{
			HostNetwork: true, Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
		"elsewhere": {corev1.PodSpec{
			NodeSelector: map[string]string{"disk": "ssd"}, Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			pod := w.wait(w.pod(c.spec), "the end", func(pod *corev1.Pod) bool {
				if pod == nil || pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
					return false
				}
				for _, s := range pod.Status.ContainerStatuses {
					if s.State.Running != nil {
						return false // it is late, and is being ended
					}
				}
				return true
			})
			if pod.Status.Phase != c.phase {
				t.Errorf("got %s, want %s: %+v", pod.Status.Phase, c.phase, pod.Status)
			}
			if c.spec.HostNetwork && !strings.Contains(pod.Status.Message, "spec.hostNetwork") {
				t.Errorf("got %q, which does not name the field", pod.Status.Message)
			}
			w.delete(pod, nil)
			w.wait(pod, "the pod to be gone", isGone)
		})
	}
}

func TestSickContainerIsRestarted(t *testing.T) {
	w := newWorld(t)
	app := serving("app")
	app.LivenessProbe = &corev1.Probe{ProbeHandler: app.ReadinessProbe.ProbeHandler, PeriodSeconds: 1, FailureThreshold: 2}
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{app}}), "a ready pod", isReady)
	w.ask(pod, "app", "/sick")
	pod = w.wait(pod, "a restart", func(pod *corev1.Pod) bool { return state(pod, "app").RestartCount == 1 && isReady(pod) })
	if last := state(pod, "app").LastTerminationState.Terminated; last == nil || last.ExitCode != 0 {
		t.Errorf("got the last state %+v, want a good end on SIGTERM", last)
	}
	if words := w.event(pod, reasonUnhealthy); !strings.Contains(words, "503") {
		t.Errorf("got the event %q", words)
	}
}

func TestForcedDeletionKills(t *testing.T) {
	w := newWorld(t)
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Args: []string{"wait"}}}}), "a ready pod", isReady)
	w.delete(pod, new(int64(0)))
	w.eventually("the files of the pod to go", func() bool { return len(w.podFiles()) == 0 })
}
