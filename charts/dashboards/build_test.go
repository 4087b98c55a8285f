package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"

	"github.com/kind-in-a-box/devbox/internal/panel"
)

const dir = "../observability/dashboards"

// TestUpToDate: the chart has the dashboards that the list of panels makes, and
// no other.
func TestUpToDate(t *testing.T) {
	made := t.TempDir()
	if err := run(made); err != nil {
		t.Fatal(err)
	}
	names := func(dir string) string {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for i := range files {
			files[i] = filepath.Base(files[i])
		}
		return strings.Join(files, " ")
	}
	if got, want := names(dir), names(made); got != want {
		t.Fatalf("the chart has %s; the panels make %s (run `make generate`)", got, want)
	}
	for name := range strings.FieldsSeq(names(made)) {
		want, got := read(t, filepath.Join(made, name)), read(t, filepath.Join(dir, name))
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the panels make; run `make generate`", name)
		}
	}
}

// TestSchema: Grafana's own schema has every field that is written, with a
// value that it allows, and nothing is lost on the way through it.
func TestSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	for _, d := range panel.Dashboards {
		text := read(t, filepath.Join(dir, d.UID+".json"))
		var strict classic
		if wrong := faults(strict.UnmarshalJSONStrict(text)); len(wrong) > 0 {
			t.Errorf("%s: %v", d.UID, wrong)
			continue
		}
		if err := strict.Validate(); err != nil {
			t.Errorf("%s: %v", d.UID, err)
		}
		var read classic // strictly read panels are gone when written
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		again, err := encode(read)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tree(t, text), tree(t, again)); diff != "" {
			t.Errorf("%s is another one after a way through the schema:\n%s", d.UID, diff)
		}
	}
}

// faults are those that the schema package found: where that is none it
// returns an error all the same, an empty list.
func faults(err error) []string {
	found, ok := errors.AsType[cog.BuildErrors](err)
	if !ok && err != nil {
		return []string{err.Error()}
	}
	var said []string
	for _, one := range found {
		said = append(said, one.Error())
	}
	return said
}

// TestSchemaRefuses: what the schema does not have is noticed, deep in it too.
func TestSchemaRefuses(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	text := read(t, filepath.Join(dir, panel.Dashboards[0].UID+".json"))
	for _, field := range []string{`"title"`, `"gridPos"`, `"legendFormat"`, `"calcs"`} {
		var strict classic
		if len(faults(strict.UnmarshalJSONStrict(bytes.ReplaceAll(text, []byte(field), []byte(`"wrong"`))))) == 0 {
			t.Errorf("with %s under another name the schema finds nothing wrong", field)
		}
	}
}

// TestWhole: no panel or query is lost, and every variable that a query has is
// one that a person can choose.
func TestWhole(t *testing.T) {
	variable := regexp.MustCompile(`\$[a-z]+`)
	for _, d := range panel.Dashboards {
		built, err := build(d)
		if err != nil {
			t.Fatal(err)
		}
		offered := map[string]bool{}
		for _, v := range built.Templating.List {
			offered["$"+v.Name] = true
		}
		text, err := encode(built)
		if err != nil {
			t.Fatal(err)
		}
		expressions := regexp.MustCompile(`"expr": `).FindAll(text, -1)
		queries := 0
		for _, r := range d.Rows {
			for _, p := range r.Panels {
				queries += len(p.Queries)
				for _, q := range p.Queries {
					for _, v := range variable.FindAllString(q.PromQL(scope[d.Scope]), -1) {
						if !offered[v] {
							t.Errorf("%s, %s: nobody can choose %s", d.Title, p.Title, v)
						}
					}
				}
			}
		}
		if len(expressions) != queries {
			t.Errorf("%s has %d queries, its panels %d", d.Title, len(expressions), queries)
		}
	}
}

// tree is the text as anything: the order of fields says nothing.
func tree(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
