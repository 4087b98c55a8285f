// Package documented holds what a part exposes against the table of
// docs/metrics.md, both ways: nothing is exposed that is not there, and nothing
// is there that is not exposed.
package documented

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// row is a line of the table.
type row struct {
	name   string // ends with * where it stands for all that begin so
	kind   string
	labels []string
	from   []string
}

// matches says whether the row is about a metric called name.
func (r row) matches(name string) bool {
	prefix, any := strings.CutSuffix(r.name, "*")
	return name == r.name || any && strings.HasPrefix(name, prefix)
}

// Check holds exposition, in Prometheus' text format, against the rows of part.
// The labels of a metric that has no series yet are not looked at.
func Check(t *testing.T, part, exposition string) {
	t.Helper()
	rows := slices.DeleteFunc(table(t), func(r row) bool { return !slices.Contains(r.from, part) })
	if len(rows) == 0 {
		t.Fatalf("docs/metrics.md has nothing of %s", part)
	}
	kinds := map[string]string{}
	for line := range strings.Lines(exposition) {
		if words := strings.Fields(line); len(words) == 4 && words[1] == "TYPE" {
			kinds[words[2]] = words[3]
		}
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(exposition))
	if err != nil {
		t.Fatalf("what %s exposes is not Prometheus' format: %v", part, err)
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		i := slices.IndexFunc(rows, func(r row) bool { return r.matches(name) })
		if i < 0 {
			t.Errorf("%s exposes %s, of which docs/metrics.md says nothing", part, name)
			continue
		}
		rows[i].check(t, part, kinds[name], families[name])
	}
	for _, r := range rows {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(kinds)), r.matches) {
			t.Errorf("docs/metrics.md has %s of %s, which does not expose it", r.name, part)
		}
	}
}

// check holds one metric against its row.
func (r row) check(t *testing.T, part, kind string, family *dto.MetricFamily) {
	t.Helper()
	if strings.HasSuffix(r.name, "*") {
		return
	}
	if kind != r.kind {
		t.Errorf("%s exposes %s as a %s; docs/metrics.md has a %s", part, r.name, kind, r.kind)
	}
	for _, m := range family.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		if !slices.Equal(labels, r.labels) {
			t.Errorf("%s exposes %s with the labels %v; docs/metrics.md has %v", part, r.name, labels, r.labels)
			return
		}
	}
}

var code = regexp.MustCompile("`([^`]+)`")

// shorthand is what the table calls a set of labels.
var shorthand = map[string][]string{
	"revision": {"namespace_name", "service_name", "configuration_name", "revision_name"},
	"pod":      {"namespace_name", "service_name", "configuration_name", "revision_name", "pod_name"},
	"otel":     {"k8s_namespace_name", "kn_service_name", "kn_configuration_name", "kn_revision_name"},
}

// table reads the rows: | `name` | type | unit | labels | from | ... |.
func table(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(find(t))
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) < 7 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		r := row{name: code.FindStringSubmatch(cells[1])[1], kind: strings.TrimSpace(cells[2])}
		for _, word := range strings.Split(cells[4], ",") {
			word = strings.TrimSpace(word)
			if set, ok := shorthand[word]; ok {
				r.labels = append(r.labels, set...)
			} else if name := code.FindStringSubmatch(word); name != nil {
				r.labels = append(r.labels, name[1])
			}
		}
		slices.Sort(r.labels)
		for _, part := range strings.Split(cells[5], ",") {
			r.from = append(r.from, strings.TrimSpace(part))
		}
		rows = append(rows, r)
	}
	return rows
}

// find is the document, from wherever in the module a test runs.
func find(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return filepath.Join(dir, "docs", "metrics.md")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal("there is no go.mod above the test")
	return ""
}
