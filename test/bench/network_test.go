//go:build e2e

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/test/box"
)

// BenchmarkNetwork measures what a pod's own network costs on the embedded
// engine: in turns on two boxes, of which one finds no tun device, so that its
// pods share the machine's network.
func BenchmarkNetwork(b *testing.B) {
	if engine != "embedded" {
		b.Skip("a pod of a kind box always has a network of its own")
	}
	if os.Getuid() != 0 {
		b.Skip("a pod has a network of its own where root runs the box")
	}
	own, shared := networked(b, "devbox-own", "18094"), networked(b, "devbox-shared", "18095")
	b.Run("Cold", func(b *testing.B) { coldNetwork(b, own, shared) })
	b.Run("Edit", func(b *testing.B) {
		failed := editInTurns(b, own, shared)
		r := ratio(median(own.took), median(shared.took))
		b.ReportMetric(r, "x/edit")
		note(b, row{
			what:     fmt.Sprintf("save to the new revision's first answer, pods with a network of their own, median of %d, %s apart; %d requests failed", edits, pause, failed),
			measured: fmt.Sprintf("%s (worst %s)", round(median(own.took)), round(slices.Max(own.took))),
			against:  "in the machine's network, in turns: " + round(median(shared.took)), ratio: fmt.Sprintf("%.2f", r),
		})
	})
	b.Run("Memory", func(b *testing.B) { memoryOfNetwork(b, own, shared) })
}

// networked is a box that serves test/subject. The one that is called shared
// finds no tun device.
func networked(b *testing.B, name, port string) *editor {
	b.Helper()
	e := &editor{Box: box.New(b, name), name: "subject", dir: box.Program(b, filepath.Join("..", "subject"))}
	if name == "devbox-shared" {
		e.Hide("/dev/net/tun")
	}
	e.Up("--port", port, e.dir).Wait("the first revision", 5*time.Minute, live)
	return e
}

// coldNetwork starts services from zero, in turns.
func coldNetwork(b *testing.B, own, shared *editor) {
	var took [2][]time.Duration
	sides := []*subject{{Box: own.Box, image: own.Image("subject")}, {Box: shared.Box, image: shared.Image("subject")}}
	hosts := []string{sides[0].Service(b, "cold", sides[0].image, 0, short), sides[1].Service(b, "cold", sides[1].image, 0, short)}
	for range starts {
		for i, s := range sides {
			s.Zero(b, "cold")
			r := s.Caller(hosts[i], "/").Send(time.Now())
			if !r.OK() {
				b.Fatalf("from zero in box %s: %s", s.Name(), r)
			}
			took[i] = append(took[i], r.Took)
		}
	}
	in, out := median(took[0]), median(took[1])
	b.ReportMetric((in-out).Seconds()*1000, "ms-more/cold")
	note(b, row{
		what:     fmt.Sprintf("cold start, pods with a network of their own, median of %d", starts),
		measured: milliseconds(in), against: "in the machine's network, in turns: " + milliseconds(out),
		ratio: fmt.Sprintf("%.2f (%+.1f ms)", ratio(in, out), (in-out).Seconds()*1000), goal: "+5 ms",
	})
}

// memoryOfNetwork sees how the box's process grows by a pod.
func memoryOfNetwork(b *testing.B, own, shared *editor) {
	const pods = 20
	var each [2]int64 // bytes
	for i, e := range []*editor{own, shared} {
		s := &subject{Box: e.Box, image: e.Image("subject")}
		before := box.MemoryOf(b, e.PID()).Resident
		s.Service(b, "many", s.image, 0, map[string]string{"min-scale": fmt.Sprint(pods)})
		box.Eventually(b, "all pods are ready", func() bool { return len(e.ReadyPodsOf(metav1.NamespaceDefault, box.Of("many"))) == pods })
		time.Sleep(10 * time.Second) // idle
		each[i] = (box.MemoryOf(b, e.PID()).Resident - before) / pods
	}
	b.ReportMetric(float64(each[0]-each[1])/(1<<20), "MiB-more/pod")
	note(b, row{
		what:     fmt.Sprintf("memory of the box's process for each of %d pods with a network of their own", pods),
		measured: mib(each[0]), against: "in the machine's network: " + mib(each[1]),
		ratio: fmt.Sprintf("(%+.2f MiB)", float64(each[0]-each[1])/(1<<20)), goal: "+1 MiB",
	})
}
