//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"
)

// measured has the loop measured on the day's own service, which goes on as it
// was.
func (d *day) measured(t *testing.T) {
	before, err := os.ReadDir(d.dir)
	if err != nil {
		t.Fatal(err)
	}
	out, code := d.Run("bench", "loop", "--edits", "2", "--pause", "100ms", "-o", "json", d.dir)
	if code != 0 {
		t.Fatalf("devbox bench loop: exit %d\n%s", code, out)
	}
	var r struct {
		Edits  int
		Live   struct{ Median, Worst time.Duration }
		Phases []struct {
			Name   string
			Median time.Duration
		}
		GoBuild struct{ Median time.Duration }
		Ratio   float64
	}
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&r); err != nil {
		t.Fatalf("it prints %s: %v", out, err)
	}
	var sum time.Duration
	for _, p := range r.Phases {
		sum += p.Median
	}
	if r.Edits != 2 || sum == 0 || sum > 2*r.Live.Worst || r.GoBuild.Median == 0 || r.Ratio <= 0 {
		t.Errorf("it found %+v", r)
	}
	after, err := os.ReadDir(d.dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("there were %v, and are %v, %v", before, after, err)
	}
	if services, code := d.Run("status"); code != 0 || strings.Contains(services, "hello-bench") {
		t.Errorf("devbox status: exit %d\n%s", code, services)
	}
	d.expect(t, d.answer)
}
