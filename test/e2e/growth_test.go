//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestGrowth works a box hard and looks whether it takes more of the machine
// after all of the work than after half of it. It takes six minutes, so a
// quick run leaves it out with -skip TestGrowth.
func TestGrowth(t *testing.T) {
	b := box.Embedded(t, "devbox-growth")
	dir := box.Project(t, "hello")
	box.Edit(t, filepath.Join(dir, "service.yaml"), "  template:\n", "  template:\n    metadata:\n      annotations:\n        autoscaling.knative.dev/window: 6s\n")
	g := &growth{Box: b, main: filepath.Join(dir, "main.go"), up: b.Up("--port", "18080", dir)}
	g.up.Wait("the first revision", soon, live)
	t.Run("100 edits in a row", g.edits)
	t.Run("100 times from zero pods to one and back", g.cycles)
}

type growth struct {
	*box.Box
	up   *box.Session
	main string
}

// caps are how much more the second half may take than the first: what a
// runtime keeps at hand, and what logs and etcd's database write. Images are
// not among it: of a service the registry keeps 32 and those of the last
// minute, and the node 128 MiB of layers that no pod needs.
var caps = box.Usage{Processes: 0, Threads: 8, Files: 12, Goroutines: 40, Disk: 64 << 20}

// compare holds the usage after all of the work against that after half of it.
func compare(t *testing.T, half, all box.Usage) {
	t.Helper()
	t.Logf("after half of it: %s", half)
	t.Logf("after all of it:  %s", all)
	for _, of := range []struct {
		what              string
		half, all, growth int64
	}{
		{"processes", int64(half.Processes), int64(all.Processes), int64(caps.Processes)},
		{"threads", int64(half.Threads), int64(all.Threads), int64(caps.Threads)},
		{"open files", int64(half.Files), int64(all.Files), int64(caps.Files)},
		{"goroutines", int64(half.Goroutines), int64(all.Goroutines), int64(caps.Goroutines)},
		{"bytes of disk", half.Disk, all.Disk, caps.Disk},
	} {
		if of.all > of.half+of.growth {
			t.Errorf("%s: %d after half of the work, %d after all of it; want at most %d more", of.what, of.half, of.all, of.growth)
		}
	}
}

func (g *growth) edits(t *testing.T) {
	const edits = 100
	var half box.Usage
	word := `"Hello `
	for i := range edits {
		next := fmt.Sprintf(`"Edit%03d `, i)
		mark := g.up.Mark()
		box.Edit(t, g.main, word, next)
		g.up.WaitAfter(mark, "the new revision", soon, live)
		word = next
		if i == edits/2-1 {
			half = g.settled(t)
		}
	}
	compare(t, half, g.settled(t))
}

// settled measures when no pod is left: the least of each figure over ten
// seconds, since what comes and goes is no growth.
func (g *growth) settled(t *testing.T) box.Usage {
	t.Helper()
	g.zero(t)
	least := g.Usage()
	for range 10 {
		time.Sleep(time.Second)
		usage := g.Usage()
		least = box.Usage{
			Processes:  min(least.Processes, usage.Processes),
			Threads:    min(least.Threads, usage.Threads),
			Files:      min(least.Files, usage.Files),
			Goroutines: min(least.Goroutines, usage.Goroutines),
			Disk:       min(least.Disk, usage.Disk),
		}
	}
	return least
}

// cycles drives services of the image that is there from zero pods to one and
// back, side by side, because a service stays for six seconds at the least.
func (g *growth) cycles(t *testing.T) {
	const services, rounds = 10, 10
	hosts := g.deploy(t, services)
	var half box.Usage
	for i := range rounds {
		g.zero(t)
		answers := make(chan error, services)
		for _, host := range hosts {
			go func() {
				status, body, err := g.Get(host, "/")
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("%s answers %d %q", host, status, body)
				}
				answers <- err
			}()
		}
		for range hosts {
			if err := <-answers; err != nil {
				t.Fatalf("from zero: %v", err)
			}
		}
		if i == rounds/2-1 {
			half = g.settled(t)
		}
	}
	compare(t, half, g.settled(t))
}

// deploy makes services of the example's image, and returns their hosts.
func (g *growth) deploy(t *testing.T, services int) []string {
	t.Helper()
	api := serving(t, g.Box)
	var hello servingv1.Service
	if err := api.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: "hello"}, &hello); err != nil {
		t.Fatal(err)
	}
	var hosts []string
	for i := range services {
		s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: hello.Namespace, Name: fmt.Sprintf("zero-%d", i)}}
		s.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/window": "6s"}
		s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: hello.Spec.Template.Spec.Containers[0].Image}}
		if err := api.Create(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, s.Name+".default.example.com")
	}
	return hosts
}

// zero waits until no pod is left.
func (g *growth) zero(t *testing.T) {
	t.Helper()
	box.Eventually(t, "no pod is left without a request", func() bool { return g.Pods() == 0 })
}
