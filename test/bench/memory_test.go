//go:build e2e

package bench

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

func mib[N int64 | uint64](n N) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// measureProcesses reads what the processes of an embedded box hold.
func measureProcesses(b *testing.B, bx *box.Box, up *box.Session) {
	b.Helper()
	own, session := box.MemoryOf(b, bx.PID()), box.MemoryOf(b, up.PID())
	b.ReportMetric(float64(own.Resident+session.Resident)/(1<<20), "MiB/idle")
	note(b,
		row{what: "memory of the box's process, idle with one service", measured: mib(own.Resident) + " resident", against: mib(own.Share) + " with its share only of what others hold too"},
		row{what: "memory of the session, idle", measured: mib(session.Resident) + " resident", against: mib(session.Share) + " with its share only"},
		row{what: "memory of both together, idle with one service", measured: mib(own.Resident+session.Resident) + " resident", against: mib(own.Share+session.Share) + " with their share only", goal: "350 MiB"},
	)
	for _, p := range bx.Processes() {
		if p.PID == bx.PID() {
			continue
		}
		held := box.MemoryOf(b, p.PID)
		note(b, row{what: "memory of the pod's " + p.Command + ", idle", measured: mib(held.Resident) + " resident", against: mib(held.Share) + " with its share only"})
	}
}

// measurePods reads what the processes of our own pods on kind hold.
func measurePods(b *testing.B, bx *box.Box) {
	b.Helper()
	var both, queue box.Memory
	for _, pod := range bx.ReadyPodsOf(servingv1.Namespace, "") {
		for name, held := range bx.MemoryIn(&pod) { // one, in each of them
			note(b, row{what: "memory of " + name + ", idle", measured: mib(held.Resident) + " resident", against: mib(held.Share) + " with its share only of what others hold too"})
			if name == "controller" || name == "activator" {
				both.Resident += held.Resident
				both.Share += held.Share
			}
		}
	}
	for _, pod := range bx.ReadyPodsOf(metav1.NamespaceDefault, "") {
		queue = bx.MemoryIn(&pod)[servingv1.QueueContainer]
	}
	note(b,
		row{what: "memory of control and data plane together, idle", measured: mib(both.Share) + " with their share only; " + mib(both.Resident) + " resident", against: "upstream's six pods, measured by hand: 355 MiB", ratio: fmt.Sprintf("%.2f", float64(both.Share)/(355<<20)), goal: "64 MiB"},
		row{what: "memory of queue-proxy, idle", measured: mib(queue.Resident) + " resident", against: "upstream's, measured by hand: 27 MiB", ratio: fmt.Sprintf("%.2f", float64(queue.Resident)/(27<<20)), goal: "8 MiB"},
	)
}
