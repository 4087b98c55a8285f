package watcher

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	program  = "package main\n\nfunc main() {}\n"
	describe = "apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata:\n  name: %s\n  namespace: %s\nspec:\n  template:\n    spec:\n      containers:\n      - env:\n        - {name: TARGET, value: World}\n"
)

// project makes a module in a temporary folder and goes there.
func project(t *testing.T, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(root, "go.mod"), "module example.com/project\n\ngo 1.26\n")
	for name, content := range files {
		if content == "" && name == "go.mod" { // no module
			if err := os.Remove(filepath.Join(root, name)); err != nil {
				t.Fatal(err)
			}
			continue
		}
		save(t, filepath.Join(root, name), content)
	}
	t.Chdir(root)
	return root
}

func TestDiscover(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		want  string // targets, or the error
	}{
		"named, without a manifest": {
			files: map[string]string{"cmd/My_App/main.go": program}, args: []string{"./cmd/My_App"},
			want: "my-app in default: example.com/project/cmd/My_App",
		},
		"named, with a manifest": {
			files: map[string]string{"app/main.go": program, "app/service.yaml": fmt.Sprintf(describe, "hello", "team")}, args: []string{"app"},
			want: "hello in team: example.com/project/app",
		},
		"named twice": {
			files: map[string]string{"app/main.go": program}, args: []string{"app", "./app/"},
			want: "app in default: example.com/project/app",
		},
		"all that have a manifest": {
			files: map[string]string{
				"a/main.go": program, "a/service.yaml": fmt.Sprintf(describe, "a", "default"),
				"b/main.go": program, "b/service.yaml": fmt.Sprintf(describe, "b", "default"),
				"tool/main.go": program, "lib/lib.go": "package lib\n",
			},
			want: "a in default: example.com/project/a; b in default: example.com/project/b",
		},
		"the only one there is": {
			files: map[string]string{"main.go": program, "lib/lib.go": "package lib\n"}, args: []string{"./..."},
			want: "app-001 in default: example.com/project", // the folder of a test
		},
		"below a folder": {
			files: map[string]string{"x/a/main.go": program, "b/main.go": program}, args: []string{"x/..."},
			want: "a in default: example.com/project/x/a",
		},
		"one that does not compile": {
			files: map[string]string{"app/main.go": "package main\n\nfunc main() { not go }\n"}, args: []string{"app"},
			want: "app in default: example.com/project/app",
		},
		"which of them": {
			files: map[string]string{"a/main.go": program, "b/main.go": program},
			want:  "./...: none of the main packages has a service.yaml: name those that are services (a b)",
		},
		"none":      {want: "./...: there is no main package"},
		"no folder": {args: []string{"nowhere"}, want: "nowhere: there is no such directory"},
		"a file":    {files: map[string]string{"main.go": program}, args: []string{"main.go"}, want: "main.go is a file: name the directory of a main package or of manifests"},
		"a library": {
			files: map[string]string{"lib/lib.go": "package lib\n"}, args: []string{"lib"},
			want: "lib is no main package but package lib: name the directory of a main package or of manifests, or ./... for all below here that have a service.yaml",
		},
		"no Go": {
			files: map[string]string{"docs/README.md": ""}, args: []string{"docs"},
			want: "docs is no main package: no Go files in ",
		},
		"one name twice": {
			files: map[string]string{"a/app/main.go": program, "b/app/main.go": program}, args: []string{"a/app", "b/app"},
			want: "a/app and b/app are both the service app in namespace default: give one of them another name in its service.yaml",
		},
		"manifests alone": {
			files: map[string]string{"config/map.yaml": configMap, "config/notes.md": "notes"}, args: []string{"config"},
			want: "config: 1 objects, 0 problems",
		},
		"manifests alone are not found by a pattern": {
			files: map[string]string{"config/map.yaml": configMap, "app/main.go": program}, args: []string{"./..."},
			want: "app in default: example.com/project/app",
		},
		"manifests beside a library": {
			files: map[string]string{"lib/lib.go": "package lib\n", "lib/map.yaml": configMap}, args: []string{"lib"},
			want: "lib: 1 objects, 0 problems",
		},
		"manifests beside a service": {
			files: map[string]string{"app/main.go": program, "app/service.yaml": fmt.Sprintf(describe, "app", "team"), "app/map.yaml": configMap}, args: []string{"app"},
			want: "app in team: example.com/project/app; app: 1 objects, 0 problems",
		},
		"manifests in the service's own file": {
			files: map[string]string{"app/main.go": program, "app/service.yaml": configMap + "---\n" + fmt.Sprintf(describe, "app", "team")}, args: []string{"app"},
			want: "app in team: example.com/project/app; app: 1 objects, 0 problems",
		},
		"a mistake after another document keeps its line": {
			files: map[string]string{
				"app/main.go": program, "app/service.yaml": configMap + "---\n" + strings.Replace(fmt.Sprintf(describe, "app", "default"), "env:", "environment:", 1),
			}, args: []string{"app"},
			want: "app/service.yaml:16: ",
		},
		"a program that a Deployment runs": {
			files: map[string]string{"app/main.go": program, "app/service.yaml": fmt.Sprintf(deployment, "ko://example.com/project/app")}, args: []string{"app"},
			want: "app: 1 objects, 0 problems",
		},
		"a program beside a Deployment of another": {
			files: map[string]string{"app/main.go": program, "app/db.yaml": fmt.Sprintf(deployment, "postgres:17")}, args: []string{"app"},
			want: "app in default: example.com/project/app; app: 1 objects, 0 problems",
		},
		"one name in two namespaces": {
			files: map[string]string{
				"a/main.go": program, "a/service.yaml": fmt.Sprintf(describe, "app", "one"),
				"b/main.go": program, "b/service.yaml": fmt.Sprintf(describe, "app", "two"),
			},
			want: "app in one: example.com/project/a; app in two: example.com/project/b",
		},
		"the modules of a workspace": {
			files: map[string]string{
				"go.work": "go 1.26\n\nuse (\n\t./a\n\t./b\n)\n", "go.mod": "",
				"a/go.mod": "module ex.com/a\n", "a/main.go": program, "a/service.yaml": fmt.Sprintf(describe, "a", "default"),
				"b/go.mod": "module ex.com/b\n", "b/cmd/main.go": program, "b/cmd/service.yaml": fmt.Sprintf(describe, "b", "default"),
				"c/go.mod": "module ex.com/c\n", "c/main.go": program, "c/service.yaml": fmt.Sprintf(describe, "c", "default"),
				"node_modules/d/go.mod": "module ex.com/d\n", "node_modules/d/main.go": program,
			},
			want: "a in default: ex.com/a; b in default: ex.com/b/cmd; c is left out: it is a module that go.work does not use; if it is to be served, `go work use c` adds it",
		},
		"a workspace, of which its root is a module": {
			files: map[string]string{
				"go.work": "go 1.26\n\nuse (\n\t.\n\t./a\n)\n", "main.go": program, "service.yaml": fmt.Sprintf(describe, "root", "default"),
				"a/go.mod": "module ex.com/a\n", "a/main.go": program, "a/service.yaml": fmt.Sprintf(describe, "a", "default"),
			},
			want: "a in default: ex.com/a; root in default: example.com/project",
		},
		"two modules of a workspace without manifests": {
			files: map[string]string{
				"go.work": "go 1.26\n\nuse (\n\t./a\n\t./b\n)\n", "go.mod": "",
				"a/go.mod": "module ex.com/a\n", "a/main.go": program, "b/go.mod": "module ex.com/b\n", "b/main.go": program,
			},
			want: "./...: none of the main packages has a service.yaml: name those that are services (a b)",
		},
		"a nested module": {
			files: map[string]string{
				"cmd/main.go": program, "cmd/service.yaml": fmt.Sprintf(describe, "root", "default"),
				"services/c/go.mod": "module ex.com/c\n", "services/c/main.go": program, "services/c/service.yaml": fmt.Sprintf(describe, "c", "default"),
			},
			want: "c in default: ex.com/c; root in default: example.com/project/cmd",
		},
		"a nested module without a manifest": {
			files: map[string]string{"cmd/main.go": program, "services/c/go.mod": "module ex.com/c\n", "services/c/main.go": program},
			want:  "cmd in default: example.com/project/cmd; services/c is left out: its go.mod makes it a module of its own, and without a service.yaml it is not known to be a service; if it is one, name it in the command, or write it a service.yaml with `devbox init services/c`",
		},
		"modules in a folder of none": {
			files: map[string]string{
				"go.mod":   "",
				"a/go.mod": "module ex.com/a\n", "a/main.go": program, "a/service.yaml": fmt.Sprintf(describe, "a", "default"),
				"b/go.mod": "module ex.com/b\n", "b/main.go": program, "b/service.yaml": fmt.Sprintf(describe, "b", "default"),
			},
			want: "a in default: ex.com/a; b in default: ex.com/b",
		},
		"a workspace that cannot be read": {
			files: map[string]string{"go.work": "uses ./a\n", "a/main.go": program},
			want:  "./...: go: errors parsing go.work:\ngo.work:1: unknown directive: uses",
		},
		"a described package that cannot be read": {
			files: map[string]string{"a/main.go": "pakage main\n", "a/service.yaml": fmt.Sprintf(describe, "a", "default"), "b/main.go": program},
			want:  "reading the package in a: ",
		},
		"two modules that are named": {
			files: map[string]string{"go.mod": "", "a/go.mod": "module ex.com/a\n", "a/main.go": program, "b/go.mod": "module ex.com/b\n", "b/main.go": program},
			args:  []string{"./a", "./b"}, want: "a in default: ex.com/a; b in default: ex.com/b",
		},
		"a manifest with a mistake": {
			files: map[string]string{"app/main.go": program, "app/service.yaml": strings.Replace(fmt.Sprintf(describe, "app", "default"), "env:", "environment:", 1)},
			want:  "app/service.yaml:10: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			project(t, c.files)
			targets, leftOut, err := Discover(t.Context(), c.args)
			var got []string
			for _, target := range targets {
				if target.Service != nil {
					got = append(got, fmt.Sprintf("%s in %s: %s", target.Name, target.Namespace, target.ImportPath))
				} else if set, err := target.readObjects(); err == nil && len(set.Objects)+len(set.Problems) > 0 {
					got = append(got, fmt.Sprintf("%s: %d objects, %d problems", target.Name, len(set.Objects), len(set.Problems)))
				}
			}
			said := strings.Join(append(got, leftOut...), "; ")
			if err != nil {
				said = err.Error()
			}
			if !strings.HasPrefix(said, c.want) || err == nil && said != c.want {
				t.Errorf("got  %s\nwant %s", said, c.want)
			}
		})
	}
}

func TestAFolderInNoModule(t *testing.T) {
	dir := t.TempDir()
	save(t, filepath.Join(dir, "main.go"), program)
	t.Chdir(dir)
	if _, _, err := Discover(t.Context(), []string{"."}); err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Errorf("error = %v, want word of go.mod", err)
	}
}

func TestServiceName(t *testing.T) {
	for folder, want := range map[string]string{
		"hello": "hello", "My_App": "my-app", "--x--": "x", "001": "app-001", "日本": "app", "": "app",
		strings.Repeat("a", 70):        strings.Repeat("a", 63),
		strings.Repeat("a", 62) + ".b": strings.Repeat("a", 62),
	} {
		if got := serviceName(folder); got != want {
			t.Errorf("%q becomes %q, want %q", folder, got, want)
		}
	}
}

// configMap and deployment are manifests of five and of seven lines.
const (
	configMap  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata:\n  word: one\n"
	deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app}\nspec:\n  template:\n    spec:\n      containers: [{name: app, image: \"%s\"}]\n"
)
