package charts_test

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/charts"
)

// sum changes with every panel.
var sum = regexp.MustCompile(`(?m)(configuration: |name: grafana-)[0-9a-f]+$`)

// TestObservabilityRenders shows what watches a box: from a layout of the
// lab's, which has no Grafana, and from the container registries, in a cluster and
// in a box that is one process. Dashboards are left out: they have a test of their own.
func TestObservabilityRenders(t *testing.T) {
	lab := map[string]any{"serving": "devbox.local/serving:1", "prometheus": "devbox.local/prometheus:1", "zipkin": "devbox.local/zipkin:1"}
	released := map[string]any{
		"serving": "devbox.local/serving:1", "prometheus": "docker.io/prom/prometheus:v1", "zipkin": "docker.io/openzipkin/zipkin-slim:1",
		"grafana": "docker.io/grafana/grafana:1",
	}
	for name, values := range map[string]map[string]any{
		"observability-lab":      {"images": lab, "port": 8085},
		"observability-released": {"images": released, "port": 8085},
		"observability-process":  {"images": released, "port": 8085, "metricsPort": 40000},
	} {
		t.Run(name, func(t *testing.T) {
			manifest, err := watch(t, values)
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			for doc := range strings.SplitSeq(manifest, "---\n") {
				if doc != "" && !strings.Contains(doc, "name: grafana-dashboards\n  namespace") {
					kept = append(kept, doc)
				}
			}
			text := sum.ReplaceAllString(strings.Join(kept, "---\n"), "${1}SUM")
			golden(t, filepath.Join("testdata", name+".yaml"), text)
		})
	}
}

func TestObservabilityRefusesValues(t *testing.T) {
	for field, values := range map[string]map[string]any{
		"port":        {"port": 0},
		"metricsPort": {"metricsPort": -1},
		"sampling":    {"sampling": 101},
		"retention":   {"retention": "for ever"},
		"grafanna":    {"images": map[string]any{"grafanna": "x"}},
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
