package charts_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/charts"
)

// sum changes with every panel.
var sum = regexp.MustCompile(`configuration: [0-9a-f]{16}`)

// TestObservabilityRenders shows what watches a box: from a layout of the
// lab's, which has no Grafana, and from the container registries. Dashboards
// are left out: they have a test of their own.
func TestObservabilityRenders(t *testing.T) {
	lab := map[string]any{"serving": "devbox.local/serving:1", "prometheus": "devbox.local/prometheus:1", "zipkin": "devbox.local/zipkin:1"}
	released := map[string]any{
		"serving": "devbox.local/serving:1", "prometheus": "docker.io/prom/prometheus:v1", "zipkin": "docker.io/openzipkin/zipkin-slim:1",
		"grafana": "docker.io/grafana/grafana:1",
	}
	for name, images := range map[string]map[string]any{"observability-lab": lab, "observability-released": released} {
		t.Run(name, func(t *testing.T) {
			manifest, err := watch(t, map[string]any{"images": images, "port": 8085})
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			for doc := range strings.SplitSeq(manifest, "---\n") {
				if doc != "" && !strings.Contains(doc, "name: grafana-dashboards\n  namespace") {
					kept = append(kept, doc)
				}
			}
			text := sum.ReplaceAllString(strings.Join(kept, "---\n"), "configuration: SUM")
			golden(t, filepath.Join("testdata", name+".yaml"), text)
		})
	}
}

func TestObservabilityRefusesValues(t *testing.T) {
	for field, values := range map[string]map[string]any{
		"port":      {"port": 0},
		"sampling":  {"sampling": 101},
		"retention": {"retention": "for ever"},
		"grafanna":  {"images": map[string]any{"grafanna": "x"}},
	} {
		_, err := watch(t, values)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("with %v: got error %v, want one that names %s", values, err, field)
		}
	}
}

// watch is helm template of the chart.
func watch(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	return template(t, load(t, charts.Observability, "observability"), "devbox-observability", values)
}
