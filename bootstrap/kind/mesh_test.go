package kind

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// A box that is on its way takes both, so that neither end is cut off.
func TestMTLS(t *testing.T) {
	for _, c := range []struct {
		wanted, was bool
		want        string
	}{
		{false, false, "off"},
		{true, false, "permissive"},
		{true, true, "strict"},
		{false, true, "permissive"},
	} {
		u := &up{mesh: c.wanted, box: &bootstrap.Box{Mesh: c.was}}
		if got := u.mtls(); got != c.want {
			t.Errorf("wanted %v, was %v: got %s, want %s", c.wanted, c.was, got, c.want)
		}
	}
}

func TestSettled(t *testing.T) {
	pod := func(change func(*corev1.Pod)) *corev1.Pod {
		p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{}}}
		change(p)
		return p
	}
	for name, c := range map[string]struct {
		pod     *corev1.Pod
		in, out bool // settled when pods are to have sidecars, and when not
	}{
		"has a sidecar": {pod(func(p *corev1.Pod) { p.Labels[sidecarLabel] = "istio" }), true, false},
		"has none":      {pod(func(*corev1.Pod) {}), false, true},
		"is going":      {pod(func(p *corev1.Pod) { p.DeletionTimestamp = new(metav1.Now()) }), true, true},
		"has failed":    {pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }), true, true},
		"says itself":   {pod(func(p *corev1.Pod) { p.Labels[injectKey] = "false" }), true, true},
	} {
		if in, out := settled(c.pod, true), settled(c.pod, false); in != c.in || out != c.out {
			t.Errorf("a pod that %s: got %v and %v, want %v and %v", name, in, out, c.in, c.out)
		}
	}
}

// The user reads the sidecar's own sentence, once it has tried twice.
func TestSidecarFailure(t *testing.T) {
	const refused = "the node refuses the iptables rules that lead a pod's traffic through its sidecar\n"
	failing := func(name string, restarts, code int32, message string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "hello"}, Status: corev1.PodStatus{
			InitContainerStatuses: []corev1.ContainerStatus{{
				Name: name, RestartCount: restarts,
				LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: message}},
			}},
		}}
	}
	waiting := func(name, reason string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}}
	}
	ended := func(code int32) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}
	}
	late := func(last corev1.ContainerState, user corev1.ContainerStatus) *corev1.Pod {
		running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{sidecarLabel: "istio"}},
			Status: corev1.PodStatus{
				InitContainerStatuses: []corev1.ContainerStatus{{Name: sidecarName, State: running}},
				ContainerStatuses:     []corev1.ContainerStatus{{Name: "queue-proxy", LastTerminationState: last, State: running}, user},
			},
		}
	}
	never, up := corev1.ContainerState{}, corev1.ContainerStatus{Name: "user-container"}
	itsOwn := late(never, waiting("user-container", "PodInitializing"))
	itsOwn.Status.InitContainerStatuses[0] = waiting(sidecarName, hookFailed)
	const fails, goes = true, false
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		failed bool
		why    string
		held   bool
	}{
		"refused":                  {failing(sidecarName, 2, 1, refused), fails, strings.TrimSpace(refused), false},
		"without a word":           {failing(sidecarName, 3, 137, ""), fails, "it ends with exit code 137", false},
		"its first try":            {failing(sidecarName, 1, 1, refused), goes, "", false},
		"was told to end":          {failing(sidecarName, 2, 0, ""), goes, "", false},
		"somebody else's":          {failing("migrate", 5, 1, "no"), goes, "", false},
		"starts":                   {late(never, waiting("user-container", "PodInitializing")), goes, "", true},
		"not ready in time":        {late(ended(0), up), fails, "", false},
		"not ready, by its own":    {itsOwn, fails, "", false},
		"ready, and no image":      {late(never, waiting("user-container", "ImagePullBackOff")), goes, "", false},
		"ready, and all is well":   {late(never, up), goes, "", false},
		"queue-proxy ended itself": {late(ended(1), up), goes, "", false},
	} {
		why, failed := sidecarFailure(c.pod)
		if failed != c.failed || why != c.why || held(c.pod) != c.held {
			t.Errorf("%s: got %v %q, held %v; want %v %q, %v", name, failed, why, held(c.pod), c.failed, c.why, c.held)
		}
	}
}
