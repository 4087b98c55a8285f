package panel

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// letters are the dashboards' names in the table of docs/metrics.md.
var letters = map[string]string{"Revision HTTP Requests": "R", "Scaling Debugging": "S", "Edit Loop": "E", "Cold Starts": "C"}

// TestTableNamesThePanels holds the documentation's column of panels against
// the list.
func TestTableNamesThePanels(t *testing.T) {
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if cells := strings.Split(line, "|"); len(cells) == 9 && strings.HasPrefix(cells[1], " `") && strings.TrimSpace(cells[6]) != "" {
			said[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[6])
		}
	}
	is := map[string]string{}
	for name, in := range dashboardsOf() {
		is[name] = strings.Join(in, ", ")
	}
	if diff := cmp.Diff(is, said); diff != "" {
		t.Errorf("the panels column of docs/metrics.md (-is, +said):\n%s", diff)
	}
}

// dashboardsOf are the letters of the dashboards that ask for each of the box's
// metrics, in their order.
func dashboardsOf() map[string][]string {
	of := map[string][]string{}
	for _, d := range Dashboards {
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				for _, q := range p.Queries {
					if metric(q.Metric).Source == Box && !slices.Contains(of[q.Metric], letters[d.Title]) {
						of[q.Metric] = append(of[q.Metric], letters[d.Title])
					}
				}
			}
		}
	}
	maps.DeleteFunc(of, func(_ string, in []string) bool { return len(in) == 0 })
	return of
}
