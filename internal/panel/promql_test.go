package panel

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the queries are now into testdata")

func TestPromQL(t *testing.T) {
	scope := Scope{"$namespace", "$service", "$configuration", "$revision"}
	var b strings.Builder
	for _, d := range Dashboards {
		fmt.Fprintf(&b, "# %s\n", d.Title)
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				fmt.Fprintf(&b, "\n%s / %s [%s, %s, local %t]\n", row.Title, p.Title, p.Kind, p.Unit, p.Local())
				for _, q := range p.Queries {
					fmt.Fprintf(&b, "    %s: %s\n", q.Legend, q.PromQL(scope))
				}
			}
		}
		b.WriteString("\n")
	}
	if *update {
		if err := os.WriteFile("testdata/promql.txt", []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/promql.txt")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("run with -update and read the difference: %s", diff)
	}
}

func TestQueryOverEverything(t *testing.T) {
	q := Query{Func: Ratio, Metric: "activator_request_count", Over: lately, By: []string{"revision_name"}, Match: []Matcher{{"response_code_class", IsNot, "5xx"}}}
	want := `(sum by (revision_name) (rate(activator_request_count{response_code_class!="5xx"}[1m])) or 0 * sum by (revision_name) (rate(activator_request_count[1m]))) / sum by (revision_name) (rate(activator_request_count[1m]))`
	if got := q.PromQL(Scope{}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestQueriesAskForWhatThereIs holds the queries to the list of metrics.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	for _, d := range Dashboards {
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				for _, q := range p.Queries {
					checkQuery(t, d.Title+", "+p.Title, q)
				}
			}
		}
	}
}

func checkQuery(t *testing.T, where string, q Query) {
	t.Helper()
	m := metric(q.Metric)
	if m.Type == "" {
		t.Errorf("%s: nobody has %s", where, q.Metric)
	}
	kinds := map[Func][]Type{Value: {Gauge, Counter, Histogram}, Rate: {Counter, Histogram}, Increase: {Counter, Histogram}, Ratio: {Counter}, Quantile: {Histogram}, Mean: {Histogram}}
	if !strings.Contains(fmt.Sprint(kinds[q.Func]), string(m.Type)) {
		t.Errorf("%s: %s of a %s", where, q.Func, m.Type)
	}
	if q.Legend == "" {
		t.Errorf("%s: no legend", where)
	}
	labels := q.By
	for _, match := range q.Match {
		labels = with(labels, match.Label)
	}
	for _, label := range labels {
		if !strings.Contains(fmt.Sprint(m.Labels), label) {
			t.Errorf("%s: %s has no label %s", where, q.Metric, label)
		}
	}
}
