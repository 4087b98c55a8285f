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
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want string // "" is no failure
	}{
		"refused":         {failing(sidecarName, 2, 1, refused), "hello does not start: the node refuses the iptables rules"},
		"without a word":  {failing(sidecarName, 3, 137, ""), "it ends with exit code 137"},
		"its first try":   {failing(sidecarName, 1, 1, refused), ""},
		"was told to end": {failing(sidecarName, 2, 0, ""), ""},
		"somebody else's": {failing("migrate", 5, 1, "no"), ""},
	} {
		err := sidecarFailure(c.pod)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
