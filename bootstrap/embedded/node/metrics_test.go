package node

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/kind-in-a-box/devbox/test/documented"
)

func TestMetrics(t *testing.T) {
	running := corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	with := func(o observed) *pod { return &pod{object: &corev1.Pod{}, observed: o} }
	n := &node{pods: map[types.UID]*pod{
		"a": with(observed{main: []corev1.ContainerStatus{running}}),
		"b": with(observed{main: []corev1.ContainerStatus{running}}),
		"c": with(observed{main: []corev1.ContainerStatus{{}}}),
		"d": with(observed{refusal: &refusal{"OutOfAddresses", "there are no more"}}),
	}}
	n.numbers.started.Add(2)
	n.numbers.failed.Add(1)
	n.numbers.since(stepProcess, time.Now())
	var text strings.Builder
	n.writeMetrics(&text)
	for _, want := range []string{
		`devbox_node_pods{phase="Pending"} 1`, `devbox_node_pods{phase="Running"} 2`,
		`devbox_node_pods{phase="Succeeded"} 0`, `devbox_node_pods{phase="Failed"} 1`,
		`devbox_node_container_starts_total{outcome="started"} 2`, `devbox_node_container_starts_total{outcome="failed"} 1`,
		`devbox_node_start_latencies_count{step="process"} 1`,
	} {
		if !strings.Contains(text.String(), want+"\n") {
			t.Errorf("no %s in\n%s", want, text.String())
		}
	}
	documented.Check(t, "node", text.String())
}
