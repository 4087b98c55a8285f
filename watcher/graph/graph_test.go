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
		Workspace: "/go.work", Settings: "/etc/go/env",
		Packages: []Package{
			{ImportPath: "fmt", Dir: "/go/src/fmt", Standard: true, GoFiles: []string{"print.go"}},
			{ImportPath: "example.net/far", Dir: "/cache/far@v1.2.3", Module: &Module{Path: "example.net/far", Version: "v1.2.3", Dir: "/cache/far@v1.2.3"}, GoFiles: []string{"far.go"}},
			{ImportPath: "example.org/beside/x", Dir: "/beside/x", Module: replaced, GoFiles: []string{"x.go"}},
			{ImportPath: "example.com/app/absent"},
			{ImportPath: "example.org/w", Dir: "/vendor/example.org/w", GoFiles: []string{"w.go"}},
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
		{"/app/cmd/hello/default.pgo", Source, "the profile of example.com/app/cmd/hello"},
		{"/app/cmd/hello/cpu.pgo", "", ""},
		{"/app/lib/default.pgo", "", ""}, // the main package's alone counts
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
		{"/app/lib/text/de.html", "", ""},
		{"/app/lib/text/old/de.txt", "", ""},
		{"/app/lib/text", "", ""},
		{"/app/lib/go.mod", Modules, "a module of its own"},
		{"/app/go.work", Modules, "the workspace"},
		{"/app/vendor/modules.txt", Modules, "the vendored modules of example.com/app"},
		{"/vendor/modules.txt", Modules, "the vendored modules of the workspace"},
		{"/vendor/example.org/w/w.go", Source, "example.org/w, which hello imports"},
		{"/etc/go/env", Modules, "what `go env -w` has set"},
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
		"/", "/app", "/app/absent", "/app/cmd", "/app/cmd/hello", "/app/lib", "/app/lib/static/a", "/app/lib/text", "/app/vendor",
		"/app/vendor/example.com/v", "/beside", "/beside/vendor", "/beside/x", "/etc/go", "/vendor", "/vendor/example.org/w",
	}; !slices.Equal(dirs, want) {
		t.Errorf("folders %q\nwant    %q", dirs, want)
	}
	if want := []string{"/app/cmd/hello/kodata", "/app/lib", "/app/lib/text"}; !slices.Equal(trees, want) {
		t.Errorf("trees %q\nwant  %q", trees, want)
	}
	for dir, want := range map[string]bool{
		"/app/lib": true, "/app/lib/static": true, "/app/lib/static/a": true, "/app/lib/static/.git": false, "/app/lib/text": true,
		"/app/lib/text/old": false, "/app/lib/node_modules": false, "/app/cmd/hello/kodata/.well-known": true, "/app": false,
	} {
		if got := hello().Enters(dir); got != want {
			t.Errorf("%s is entered: %v", dir, got)
		}
	}
}

// TestEmbed is what the go command says of a real tree: all it embeds by a
// pattern matches it, and nothing else does.
func TestEmbed(t *testing.T) {
	root := tree(t, map[string]string{
		"go.mod": "module example.com/app\n\ngo 1.26\n", "index.html": "", "_draft.html": "", ".hidden.html": "", "notes.txt": "", "2.txt": "", "a b.txt": "",
		"node_modules/x/index.html": "", "static/index.html": "", "static/.keep": "", "static/_x": "", "static/deep/a.css": "", "static/deep/.git/config": "",
		"en/page.html": "", "de/page.html": "", "de/sub/page.html": "", "de/page.txt": "",
	})
	for _, directive := range []string{
		"*.html", "static", "all:static", "*/page.html", "static/*", "static/deep", "[0-9].txt", "?.txt", "notes.txt *.html static/deep", "\"a b.txt\" `2.txt`", "*", "d*",
	} {
		write(t, filepath.Join(root, "main.go"), "package main\n\nimport \"embed\"\n\nvar (\n\t//go:embed "+directive+"\n\tfiles embed.FS\n)\n\nfunc main() { _ = files }\n")
		l, err := List(t.Context(), root, "example.com/app", nil, []string{"GOWORK=off"})
		if err != nil {
			t.Fatal(err)
		}
		p := l.Packages[len(l.Packages)-1]
		if len(p.EmbedFiles) == 0 {
			t.Fatalf("%s: the go command embeds nothing: %+v", directive, p.Error)
		}
		var got []string
		_ = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			matched := slices.ContainsFunc(p.EmbedPatterns, func(pattern string) bool { return newEmbed(root, "", pattern).matches(path) })
			if rel, _ := filepath.Rel(root, path); matched && !d.IsDir() {
				got = append(got, filepath.ToSlash(rel))
			}
			return err
		})
		if slices.Sort(got); !slices.Equal(got, p.EmbedFiles) {
			t.Errorf("%s matches %q, the go command embeds %q", directive, got, p.EmbedFiles)
		}
	}
}

// TestLinks: what is reached by a link is watched where it lies.
func TestLinks(t *testing.T) {
	root := tree(t, map[string]string{
		"app/go.mod":     "module example.com/app\n\ngo 1.26\n\nrequire example.com/lib v0.0.0\n\nreplace example.com/lib => ../linked\n",
		"app/main.go":    "package main\n\nimport \"example.com/lib\"\n\nfunc main() { lib.X() }\n",
		"common/body.go": "package main\n", "deploy/hello.yaml": "", "deploy/ko.yaml": "", "deploy/go.work": "go 1.26\n\nuse ../app\n",
		"lib/go.mod": "module example.com/lib\n\ngo 1.26\n", "lib/lib.go": "package lib\n\nfunc X() {}\n",
	})
	for link, to := range map[string]string{
		"app/body.go": "../common/body.go", "app/service.yaml": "../deploy/hello.yaml", "app/.ko.yaml": "../deploy/ko.yaml", "linked": "lib", "here": "app",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := List(t.Context(), filepath.Join(root, "here"), "example.com/app", nil, []string{"GOWORK="})
	if err != nil {
		t.Fatal(err)
	}
	here := filepath.Join(root, "here")
	g := New(Target{Name: "app", Dir: here, ImportPath: "example.com/app", Manifest: filepath.Join(root, "app/service.yaml"), KoConfig: filepath.Join(root, "app/.ko.yaml")}, l)
	for file, want := range map[string]Kind{
		"app/main.go": Source, "app/body.go": Source, "common/body.go": Source, "common/other.go": "", "deploy/hello.yaml": Manifest, "deploy/ko.yaml": Config,
		"lib/lib.go": Source, "lib/new.go": Source, "lib/go.mod": Modules, "go.work": Modules,
	} {
		if r, _ := g.Concerns(filepath.Join(root, file)); r.Kind != want {
			t.Errorf("%s is %q to the target, want %q", file, r.Kind, want)
		}
	}
	dirs, _ := g.Watch()
	for _, dir := range []string{"app", "common", "deploy", "lib"} {
		if !slices.Contains(dirs, filepath.Join(root, dir)) {
			t.Errorf("%s is not watched: %q", dir, dirs)
		}
	}
}

// TestUnread: what the go command cannot list yet is watched for its mending.
func TestUnread(t *testing.T) {
	root := tree(t, map[string]string{"go.mod": "no module\n", "cmd/app/main.go": "package main\n"})
	g := New(Target{Name: "app", Dir: filepath.Join(root, "cmd/app"), ImportPath: "example.com/app"}, Listing{})
	for _, file := range []string{"go.mod", "go.sum", "go.work", "cmd/go.mod", "cmd/app/main.go"} {
		if _, ok := g.Concerns(filepath.Join(root, file)); !ok {
			t.Errorf("%s does not concern the target", file)
		}
	}
}

// tree writes files into a temporary folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		write(t, filepath.Join(root, file), content)
	}
	return root
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
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
	root := tree(t, map[string]string{
		"go.mod":           "module example.com/app\n\ngo 1.26\n",
		"cmd/app/main.go":  "package main\n\nimport (\n\t\"example.com/app/lib\"\n\t\"example.com/app/absent\"\n)\n\nfunc main() { lib.X(); absent.X() }\n",
		"lib/lib.go":       "package lib\n\nimport _ \"embed\"\n\n//go:embed data\nvar _ string\n\nfunc X() { not go }\n",
		"lib/data/a.txt":   "a",
		"lib/lib_plan9.go": "package lib\n",
	})
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
