package conformance

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// behaviour is one thing that a user of Knative knows of it.
type behaviour struct {
	area string
	name string // of its service too
	says string
	// embedded is what that engine shows instead; "" where it does as Knative.
	embedded string
	try      func(*trial)
}

// behaviours are all of them, in the order of the page.
var behaviours = slices.Concat(conditions, revisions, limits, routing, mapping, contract, scaling, metadata)

const page = "../../docs/conformance.md"

var update = flag.Bool("update", false, "write docs/conformance.md")

// TestPage holds docs/conformance.md against the table.
func TestPage(t *testing.T) {
	want := render()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/conformance.md is not what the table says: go test ./test/conformance -update")
	}
}

// TestNames: each behaviour has a service of its own.
func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range behaviours {
		if seen[b.name] {
			t.Errorf("two behaviours are called %q", b.name)
		}
		seen[b.name] = true
	}
}

func render() string {
	var b strings.Builder
	b.WriteString(`# Conformance

What a user of Knative Serving knows of it, and what a box does. Each line is a test of ` + "`test/conformance`" + `, which
knows a box by its public API and its gateway alone; ` + "`make conformance`" + ` runs it on both engines, ` + "`make test`" + ` on the
embedded one. This page is written from its table (` + "`go test ./test/conformance -update`" + `), and a test holds the two
together. Fields and annotations that are refused are on no line of it but the one that says so.
`)
	area := ""
	for _, row := range behaviours {
		if row.area != area {
			area = row.area
			fmt.Fprintf(&b, "\n## %s\n\n| behaviour | kind | embedded | test |\n|---|---|---|---|\n", area)
		}
		embedded := "as Knative"
		if row.embedded != "" {
			embedded = row.embedded
		}
		fmt.Fprintf(&b, "| %s | as Knative | %s | `%s` |\n", row.says, embedded, row.name)
	}
	return b.String()
}
