package node

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// startStep is one step of a container's start.
type startStep int

// The steps of a container's start, in their order.
const (
	stepImage     startStep = iota // its image is there
	stepConfigure                  // what it is to be run with is known
	stepProcess                    // its process runs
	startSteps
)

var startStepNames = [startSteps]string{"image", "configure", "process"}

// numbers is what a node counts. The zero numbers are ready for use.
type numbers struct {
	took            [startSteps]proxy.Histogram
	started, failed atomic.Uint64 // containers
}

// since counts a step that began at began and is over.
func (n *numbers) since(step startStep, began time.Time) { n.took[step].Observe(time.Since(began)) }

// podPhases are a pod's, in the order in which it has them.
var podPhases = [...]corev1.PodPhase{corev1.PodPending, corev1.PodRunning, corev1.PodSucceeded, corev1.PodFailed}

// writeMetrics writes the node's numbers in Prometheus' text format.
// docs/metrics.md says what each means.
func (n *node) writeMetrics(w io.Writer) {
	phases := n.phases()
	proxy.Describe(w, "devbox_node_pods", "gauge", "Pods on the node, by phase.")
	for _, phase := range podPhases {
		fmt.Fprintf(w, "devbox_node_pods{phase=%q} %d\n", phase, phases[phase])
	}
	proxy.Describe(w, "devbox_node_container_starts_total", "counter", "Containers that were started, and that could not be.")
	fmt.Fprintf(w, "devbox_node_container_starts_total{outcome=\"started\"} %d\n", n.numbers.started.Load())
	fmt.Fprintf(w, "devbox_node_container_starts_total{outcome=\"failed\"} %d\n", n.numbers.failed.Load())
	proxy.Describe(w, "devbox_node_start_latencies", "histogram", "Time of the steps of a container's start, in milliseconds.")
	for step := range n.numbers.took {
		n.numbers.took[step].Write(w, "devbox_node_start_latencies", fmt.Sprintf("step=%q", startStepNames[step]))
	}
}

// phases counts the node's pods.
func (n *node) phases() map[corev1.PodPhase]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := map[corev1.PodPhase]int{}
	for _, p := range n.pods {
		p.mu.Lock()
		count[phase(&p.object.Spec, p.observed)]++
		p.mu.Unlock()
	}
	return count
}
