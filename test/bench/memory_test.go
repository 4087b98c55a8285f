//go:build e2e

package bench

import (
	"encoding/json"
	"fmt"
	"testing"

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

// measurePods reads the kubelet's figures of our own pods.
func measurePods(b *testing.B, bx *box.Box) {
	b.Helper()
	out, err := bx.Kubernetes().RESTClient().Get().AbsPath("/api/v1/nodes/" + bx.Name() + "-control-plane/proxy/stats/summary").DoRaw(b.Context())
	if err != nil {
		b.Fatalf("asking the kubelet for its figures: %v", err)
	}
	var summary struct {
		Pods []struct {
			PodRef     struct{ Name, Namespace string }
			Containers []struct {
				Name   string
				Memory struct{ WorkingSetBytes, RSSBytes uint64 }
			}
		}
	}
	if err := json.Unmarshal(out, &summary); err != nil {
		b.Fatal(err)
	}
	var both, queue uint64
	for _, p := range summary.Pods {
		for _, c := range p.Containers {
			switch {
			case p.PodRef.Namespace == "knative-serving":
				note(b, row{what: "memory of " + c.Name + ", idle (resident)", measured: mib(c.Memory.RSSBytes)})
				if c.Name == "controller" || c.Name == "activator" {
					both += c.Memory.RSSBytes
				}
			case c.Name == "queue-proxy":
				queue = max(queue, c.Memory.RSSBytes)
			}
		}
	}
	note(b,
		row{what: "memory of control and data plane together, idle (resident)", measured: mib(both), against: "upstream's six pods, measured by hand: 355 MiB", ratio: fmt.Sprintf("%.2f", float64(both)/(355<<20)), goal: "64 MiB"},
		row{what: "memory of queue-proxy, idle (resident)", measured: mib(queue), against: "upstream's, measured by hand: 27 MiB", ratio: fmt.Sprintf("%.2f", float64(queue)/(27<<20)), goal: "8 MiB"},
	)
}
