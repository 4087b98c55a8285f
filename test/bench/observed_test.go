//go:build e2e

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/kind-in-a-box/devbox/test/box"
	"github.com/kind-in-a-box/devbox/test/load"
)

// watch is one way to watch a box.
type watch struct {
	what   string
	sample string // percent of requests that are traced; "" is as it is
}

// BenchmarkObserved measures what it costs a warm request that a box is
// watched: with Prometheus alone, and with traces, each against the same box
// without any of it. Each has a service of its own, since a pod keeps what held
// when it was made, and requests straight to the pod beside it, which say what
// the machine did meanwhile.
func BenchmarkObserved(b *testing.B) {
	layout := os.Getenv("DEVBOX_IMAGES")
	if layout == "" {
		b.Skip("DEVBOX_IMAGES names no directory with the images of Prometheus and Zipkin; `make bench` builds one and sets it")
	}
	bx := box.New(b, "devbox-observed")
	project := box.Program(b, filepath.Join("..", "subject"))
	up := bx.Up("--port", "18082", project)
	up.Wait("the first revision", 5*time.Minute, live)
	s := &subject{Box: bx, image: bx.Image("subject")}
	without, straight := s.observed(b, "without")
	up.Interrupt()
	up = bx.Up("--with", "observability", "--images", layout, project)
	up.Wait("the first revision", 5*time.Minute, live)
	for i, w := range []watch{
		{what: "all of observability: Prometheus, and every request traced"},
		{what: "Prometheus, and 1 % of requests traced", sample: "1"},
		{what: "Prometheus, and no request traced", sample: "0"},
	} {
		if w.sample != "" {
			s.trace(b, w.sample)
		}
		road, bare := s.observed(b, fmt.Sprintf("watched-%d", i))
		for _, p := range []int{50, 99} {
			a, r := road.Percentile(p), without.Percentile(p)
			note(b, row{
				what:     fmt.Sprintf("a warm request with %s, p%d of %d at 50 a second", w.what, p, len(road)),
				measured: milliseconds(a) + "; straight to the pod " + milliseconds(bare.Percentile(p)),
				against:  "the box without: " + milliseconds(r) + "; straight " + milliseconds(straight.Percentile(p)),
				ratio:    fmt.Sprintf("%.2f (%+.2f ms)", ratio(a, r), (a-r).Seconds()*1000),
			})
		}
	}
	s.parts(b)
}

// observed is a warm service's requests for a while, the whole road and
// straight to the pod.
func (s *subject) observed(b *testing.B, name string) (road, straight load.Results) {
	b.Helper()
	const lasts = 40 * time.Second
	road, straight = s.sideBySide(b, name, lasts)
	if failed := append(road.Failed(), straight.Failed()...); len(failed) > 0 {
		b.Errorf("%s: %d requests failed:\n%s", name, len(failed), failed.List())
	}
	return road, straight
}

// trace has a share of requests traced, by the gateway, where there is one, and
// behind it.
func (s *subject) trace(b *testing.B, percent string) {
	b.Helper()
	objects, err := dynamic.NewForConfig(s.REST())
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range []struct {
		kind            schema.GroupVersionResource
		namespace, name string
		patch           string
	}{
		{schema.GroupVersionResource{Group: "telemetry.istio.io", Version: "v1", Resource: "telemetries"}, "istio-system", "devbox-tracing",
			`{"spec":{"tracing":[{"providers":[{"name":"devbox-zipkin"}],"randomSamplingPercentage":` + percent + `}]}}`},
		{schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "knative-serving", "config-tracing",
			`{"data":{"sample-rate":"` + map[string]string{"0": "0", "1": "0.01"}[percent] + `"}}`},
	} {
		if p.kind.Group != "" && engine != "kind" {
			continue // there is no Istio
		}
		if _, err := objects.Resource(p.kind).Namespace(p.namespace).Patch(b.Context(), p.name, types.MergePatchType, []byte(p.patch), metav1.PatchOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

// parts notes the memory of what watches the box.
func (s *subject) parts(b *testing.B) {
	for _, part := range []string{"prometheus", "zipkin"} {
		for _, pod := range s.ReadyPodsOf("devbox-observability", "app="+part) {
			for name, m := range s.MemoryIn(&pod) {
				note(b, row{what: fmt.Sprintf("memory of %s in the pod of %s", name, part), measured: mib(m.Resident) + " resident"})
			}
		}
	}
}
