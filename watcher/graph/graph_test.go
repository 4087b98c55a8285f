package graph

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// listing is of hello, which imports lib of its own module, absent, which is
// not written yet, a replaced module, one of the module cache and fmt.
func listing() Listing {
	own := &Module{Path: "example.com/app", Main: true, Dir: "/app"}
	replaced := &Module{Path: "example.org/beside", Version: "v1.0.0", Dir: "/beside", Replace: &Module{Path: "../beside", Dir: "/beside"}}
	return Listing{
		Workspace: "/go.work",
		Packages: []Package{
			{ImportPath: "fmt", Dir: "/go/src/fmt", Standard: true, GoFiles: []string{"print.go"}},
			{ImportPath: "example.net/far", Dir: "/cache/far@v1.2.3", Module: &Module{Path: "example.net/far", Version: "v1.2.3", Dir: "/cache/far@v1.2.3"}, GoFiles: []string{"far.go"}},
			{ImportPath: "example.org/beside/x", Dir: "/beside/x", Module: replaced, GoFiles: []string{"x.go"}},
			{ImportPath: "example.com/app/absent"},
			{ImportPath: "example.com/app/vendored", Dir: "/app/vendor/example.com/v", GoFiles: []string{"v.go"}},
			{
				ImportPath: "example.com/app/lib", Dir: "/app/lib", Module: own,
				GoFiles: []string{"lib.go"}, IgnoredGoFiles: []string{"lib_windows.go", "lib_test.go"}, SFiles: []string{"fast.s"},
				EmbedPatterns: []string{"page.html", "static", "text/*.txt"},
				EmbedFiles:    []string{"page.html", "static/a/b.css", "text/en.txt"},
			},
			{ImportPath: "example.com/app/cmd/hello", Dir: "/app/cmd/hello", Module: own, GoFiles: []string{"main.go"}},
		},
	}
}

func hello() *Graph {
	return New(Target{
		Key: "hello", Name: "hello", Dir: "/app/cmd/hello", ImportPath: "example.com/app/cmd/hello",
		Manifest: "/app/cmd/hello/service.yaml", KoConfig: "/app/.ko.yaml",
	}, listing())
}

func TestConcerns(t *testing.T) {
	g := hello()
	for _, c := range []struct {
		file  string
		kind  Kind // empty: it does not concern the target
		words string
	}{
		{"/app/cmd/hello/main.go", Source, "example.com/app/cmd/hello"},
		{"/app/cmd/hello/extra.go", Source, "new in example.com/app/cmd/hello"},
		{"/app/cmd/hello/main_test.go", "", ""},
		{"/app/cmd/hello/README.md", "", ""},
		{"/app/cmd/hello/main.go~", "", ""},
		{"/app/cmd/hello/.#main.go", "", ""},
		{"/app/cmd/hello/service.yaml", Manifest, "the manifest of hello"},
		{"/app/cmd/hello/kodata/index.html", Data, "data of hello"},
		{"/app/cmd/hello/kodata/deep/er.html", Data, "data of hello"},
		{"/app/cmd/hello/kodatabase.go", Source, "new in example.com/app/cmd/hello"},
		{"/app/.ko.yaml", Config, "ko's configuration"},
		{"/app/go.mod", Modules, "the module example.com/app"},
		{"/app/go.sum", Modules, "the module example.com/app"},
		{"/go.work", Modules, "the workspace"},
		{"/app/lib/lib.go", Source, "example.com/app/lib, which hello imports"},
		{"/app/lib/fast.s", Source, "example.com/app/lib, which hello imports"},
		{"/app/lib/lib_windows.go", Source, "example.com/app/lib, which hello imports"},
		{"/app/lib/lib_test.go", "", ""},
		{"/app/lib/page.html", Source, "embedded by example.com/app/lib, which hello imports"},
		{"/app/lib/other.html", "", ""},
		{"/app/lib/static/a/b.css", Source, "embedded by example.com/app/lib, which hello imports"},
		{"/app/lib/static/a/new.css", Source, "embedded by example.com/app/lib, which hello imports"},
		{"/app/lib/static/.new.css.swp", "", ""},
		{"/app/lib/text/de.txt", Source, "embedded by example.com/app/lib, which hello imports"},
		{"/app/absent/absent.go", Source, "new in example.com/app/absent, which hello imports"},
		{"/app/other/other.go", "", ""},
		{"/app/vendor/example.com/v/v.go", Source, "example.com/app/vendored, which hello imports"},
		{"/beside/x/x.go", Source, "example.org/beside/x, which hello imports"},
		{"/beside/go.mod", Modules, "the module example.org/beside"},
		{"/beside/y/y.go", "", ""},
		{"/cache/far@v1.2.3/far.go", "", ""},
		{"/go/src/fmt/print.go", "", ""},
	} {
		r, ok := g.Concerns(c.file)
		if ok != (c.kind != "") || r.Kind != c.kind || r.Words != c.words {
			t.Errorf("%s: %q, %q; want %q, %q", c.file, r.Kind, r.Words, c.kind, c.words)
		}
		if ok && r.File != c.file {
			t.Errorf("the reason for %s names %q", c.file, r.File)
		}
	}
}

func TestWatch(t *testing.T) {
	dirs, trees := hello().Watch()
	if want := []string{
		"/", "/app", "/app/absent", "/app/cmd/hello", "/app/lib", "/app/lib/static/a", "/app/lib/text",
		"/app/vendor/example.com/v", "/beside", "/beside/x",
	}; !slices.Equal(dirs, want) {
		t.Errorf("folders %q\nwant    %q", dirs, want)
	}
	if want := []string{"/app/lib/static", "/app/lib/text", "/app/cmd/hello/kodata"}; !slices.Equal(trees, want) {
		t.Errorf("trees %q\nwant  %q", trees, want)
	}
}

func TestAffected(t *testing.T) {
	own := &Module{Path: "example.com/app", Main: true, Dir: "/app"}
	other := New(Target{Key: "other", Name: "other", Dir: "/app/cmd/other", ImportPath: "example.com/app/cmd/other", Manifest: "/app/cmd/other/service.yaml"},
		Listing{Packages: []Package{{ImportPath: "example.com/app/cmd/other", Dir: "/app/cmd/other", Module: own, GoFiles: []string{"main.go"}}}})
	graphs := []*Graph{hello(), other}
	for files, want := range map[string]string{
		"/app/README.md":              "",
		"/app/lib/lib.go":             "hello[source]",
		"/app/cmd/other/service.yaml": "other[manifest]",
		"/app/cmd/other/main.go /app/cmd/other/service.yaml": "other[source manifest]",
		"/app/go.mod /app/README.md":                         "hello[modules] other[modules]",
	} {
		var got []string
		for _, e := range Affected(graphs, strings.Fields(files)) {
			var kinds []string
			for _, r := range e.Reasons {
				kinds = append(kinds, string(r.Kind))
			}
			got = append(got, e.Target+fmt.Sprint(kinds))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", files, got, want)
		}
	}
}

// TestList reads a real module, broken in the ways that editing breaks one.
func TestList(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string]string{
		"go.mod":           "module example.com/app\n\ngo 1.26\n",
		"cmd/app/main.go":  "package main\n\nimport (\n\t\"example.com/app/lib\"\n\t\"example.com/app/absent\"\n)\n\nfunc main() { lib.X(); absent.X() }\n",
		"lib/lib.go":       "package lib\n\nimport _ \"embed\"\n\n//go:embed data\nvar _ string\n\nfunc X() { not go }\n",
		"lib/data/a.txt":   "a",
		"lib/lib_plan9.go": "package lib\n",
	} {
		path := filepath.Join(root, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(root, "cmd", "app")
	l, err := List(t.Context(), main, "example.com/app/cmd/app", nil, []string{"GOWORK=off", "CGO_ENABLED=0", "GOOS=linux"})
	if err != nil {
		t.Fatal(err)
	}
	g := New(Target{Name: "app", Dir: main, ImportPath: "example.com/app/cmd/app"}, l)
	for file, want := range map[string]bool{
		"cmd/app/main.go": true, "lib/lib.go": true, "lib/lib_plan9.go": true, "lib/data/a.txt": true, "lib/data/b.txt": true,
		"absent/absent.go": true, "go.mod": true, "other/other.go": false,
	} {
		if _, got := g.Concerns(filepath.Join(root, file)); got != want {
			t.Errorf("%s concerns app: %v", file, got)
		}
	}
	if _, err := List(t.Context(), filepath.Join(root, "nowhere"), ".", nil, nil); err == nil {
		t.Error("no error for a folder that is not there")
	}
}
