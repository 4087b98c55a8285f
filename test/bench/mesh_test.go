//go:build e2e

package bench

import (
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/internal/event"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// BenchmarkMesh measures what a sidecar adds, on one box in the mesh: to a
// cold start, to a pod, to an edit and to a warm request, each in turn with a
// service of the same image whose pods have none.
func BenchmarkMesh(b *testing.B) {
	if engine != "kind" {
		b.Skip("the embedded engine has no Istio")
	}
	bx := box.New(b, "devbox-meshed")
	with, without := box.Program(b, filepath.Join("..", "subject")), box.Program(b, filepath.Join("..", "subject"))
	manifest := filepath.Join(without, "service.yaml")
	box.Edit(b, manifest, "name: subject", "name: bare")
	box.Edit(b, manifest, "    metadata:\n", "    metadata:\n      labels:\n        sidecar.istio.io/inject: \"false\"\n")
	up := bx.Up("--port", "18093", "--mesh", with, without)
	for _, name := range []string{"subject", "bare"} {
		up.Wait(name+"'s first revision", 5*time.Minute, func(e event.Event) bool { return live(e) && e.Service == name })
	}
	m := &mesh{subject: &subject{Box: bx, image: bx.Image("subject")}}
	b.Run("Cold", m.cold)
	b.Run("Memory", m.memory)
	b.Run("Warm", m.warm)
	b.Run("Edit", func(b *testing.B) { m.edit(b, with, without) })
}

type mesh struct{ *subject }

// steps are those of a cold start, as Server-Timing names them.
var steps = []string{"decided", "created", "sandbox", "started", "listening", "pod"}

// cold starts services from zero, in turns.
func (m *mesh) cold(b *testing.B) {
	const with, without = "cold-mesh", "cold-bare"
	hosts := map[string]string{with: m.deploy(b, with, "true"), without: m.deploy(b, without, "false")}
	took := map[string]map[string][]time.Duration{with: {}, without: {}}
	for range starts {
		for _, name := range []string{with, without} {
			m.Zero(b, name)
			whole, timing := m.timed(b, hosts[name])
			took[name]["whole"] = append(took[name]["whole"], whole)
			for _, step := range steps {
				took[name][step] = append(took[name][step], timing[step])
			}
		}
	}
	in, out := median(took[with]["whole"]), median(took[without]["whole"])
	b.ReportMetric((in-out).Seconds()*1000, "ms-more/cold")
	note(b, row{
		what:     fmt.Sprintf("cold start in the mesh: a request to a service with no pod until its answer, median of %d", starts),
		measured: round(in), against: "without a sidecar, in turns: " + round(out),
		ratio: fmt.Sprintf("%.2f (%+.0f ms)", ratio(in, out), (in-out).Seconds()*1000), goal: "+250 ms",
	})
	for _, step := range steps {
		in, out := median(took[with][step]), median(took[without][step])
		note(b, row{
			what: "of it: " + step + ", median", measured: milliseconds(in), against: "without: " + milliseconds(out),
			ratio: fmt.Sprintf("(%+.0f ms)", (in-out).Seconds()*1000),
		})
	}
}

// deploy makes a service that is soon at zero, and returns its host.
func (m *mesh) deploy(b *testing.B, name, inject string) (host string) {
	b.Helper()
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}}
	s.Spec.Template.Labels = map[string]string{"sidecar.istio.io/inject": inject}
	s.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/window": short["window"]}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: m.image}}
	return m.Deploy(b, s)
}

// timed sends one request and returns what it took, and what the box says of
// that.
func (m *mesh) timed(b *testing.B, host string) (whole time.Duration, timing map[string]time.Duration) {
	b.Helper()
	req, err := http.NewRequest(http.MethodGet, m.Gateway, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Host = host
	req.Header.Set("Devbox-Timing", "1")
	start := time.Now()
	res, err := (&http.Client{Timeout: load.Patience}).Do(req)
	if err != nil {
		b.Fatal(err)
	}
	res.Body.Close()
	whole = time.Since(start)
	if res.StatusCode != http.StatusOK {
		b.Fatalf("from zero: %s", res.Status)
	}
	timing = map[string]time.Duration{}
	for entry := range strings.SplitSeq(res.Header.Get("Server-Timing"), ",") {
		name, rest, _ := strings.Cut(strings.TrimSpace(entry), ";dur=")
		duration, _, _ := strings.Cut(rest, ";")
		ms, err := strconv.ParseFloat(duration, 64)
		if err != nil {
			b.Fatalf("reading Server-Timing %q: %v", entry, err)
		}
		timing[name] = time.Duration(ms * float64(time.Millisecond))
	}
	return whole, timing
}

// memory notes what a sidecar holds in a pod that is idle.
func (m *mesh) memory(b *testing.B) {
	time.Sleep(10 * time.Second)
	held := m.MemoryIn(m.pod(b, "subject"))["istio-proxy"]
	b.ReportMetric(float64(held.Own)/(1<<20), "MiB/sidecar")
	note(b, row{
		what:     "memory of a sidecar, pilot-agent and Envoy, idle, that is its own: what one more takes",
		measured: mib(held.Own), against: mib(held.Share) + " with its share of the programs, which all sidecars and the gateway hold together; " + mib(held.Resident) + " resident", goal: "40 MiB",
	})
}

// warm sends requests to both services, side by side at the same rate.
func (m *mesh) warm(b *testing.B) {
	const lasts = 40 * time.Second
	with := m.from(m.gateway(b), "subject.default.example.com").Start(rate)
	time.Sleep(time.Second / rate / 2) // so that the two take turns
	without := m.from(m.gateway(b), "bare.default.example.com").Start(rate)
	time.Sleep(lasts)
	in, out := with.Stop(), without.Stop()
	if failed := append(in.Failed(), out.Failed()...); len(failed) > 0 {
		b.Errorf("%d requests failed:\n%s", len(failed), failed.List())
	}
	for _, p := range []int{50, 99} {
		a, r := in.Percentile(p), out.Percentile(p)
		note(b, row{
			what:     fmt.Sprintf("a warm request in the mesh, p%d of %d at %d a second", p, len(in), rate),
			measured: milliseconds(a), against: "to a pod without a sidecar, in turns: " + milliseconds(r),
			ratio: fmt.Sprintf("%.2f (%+.2f ms)", ratio(a, r), (a-r).Seconds()*1000),
		})
	}
}

// edit saves edits of both services.
func (m *mesh) edit(b *testing.B, with, without string) {
	meshed, bare := &editor{Box: m.Box, name: "subject", dir: with}, &editor{Box: m.Box, name: "bare", dir: without}
	failed := editInTurns(b, meshed, bare)
	in, out := median(meshed.took), median(bare.took)
	b.ReportMetric(ratio(in, out), "x/edit")
	note(b, row{
		what:     fmt.Sprintf("save to the new revision's first answer in the mesh, median of %d, %s apart; %d requests failed", edits, pause, failed),
		measured: fmt.Sprintf("%s (worst %s)", round(in), round(slices.Max(meshed.took))),
		against:  "without a sidecar, in turns: " + round(out), ratio: fmt.Sprintf("%.2f", ratio(in, out)), goal: "1.3",
	})
}
