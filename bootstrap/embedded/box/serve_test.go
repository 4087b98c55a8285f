package box

import (
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/charts"
)

// TestServeTellsWhatTheChartDoes: the stack behaves alike on both engines.
func TestServeTellsWhatTheChartDoes(t *testing.T) {
	data, err := charts.Serving.ReadFile("serving/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var values struct{ ProgressDeadline, DrainQuietPeriod string }
	if err := yaml.Unmarshal(data, &values); err != nil {
		t.Fatal(err)
	}
	for said, told := range map[string]time.Duration{values.ProgressDeadline: progressDeadline, values.DrainQuietPeriod: drainQuietPeriod} {
		if want, err := time.ParseDuration(said); err != nil || told != want {
			t.Errorf("the chart says %q, %v; the embedded engine %s", said, err, told)
		}
	}
}
