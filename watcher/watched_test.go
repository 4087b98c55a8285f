package watcher

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/kind-in-a-box/devbox/internal/event"
)

// step is something that a person does to the files of a service, and what it
// answers then. Where nothing is to come of it, want is empty: the step after
// it shows that no build did.
type step struct {
	what string
	do   func()
	want string
}

// walk does one step after the other. The one after some of which nothing was
// to come is the only one that builds.
func (s *session) walk(service string, steps ...step) {
	s.t.Helper()
	mark := 0
	s.wait(&mark, event.Watching)
	before := -1
	for _, step := range steps {
		if step.want == "" {
			before = s.count(event.BuildStarted)
		}
		step.do()
		if step.want == "" {
			continue
		}
		s.wait(&mark, event.RevisionLive)
		if got := s.box.Answer(s.namespace, service); got != step.want {
			s.t.Fatalf("%s: %s answers %q, want %q%s", step.what, service, got, step.want, s.told())
		}
		if n := s.count(event.BuildStarted) - before; before >= 0 && n != 1 {
			s.t.Errorf("%s: %d builds%s", step.what, n, s.told())
		}
		before = -1
	}
}

// mark is where the events are that are still to come.
func (s *session) mark() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.events)
}

func (p *place) link(to, at string) {
	p.t.Helper()
	if err := os.RemoveAll(at); err != nil {
		p.t.Fatal(err)
	}
	if err := os.Symlink(to, at); err != nil {
		p.t.Fatal(err)
	}
}

func (p *place) remove(path string) {
	p.t.Helper()
	if err := os.RemoveAll(path); err != nil {
		p.t.Fatal(err)
	}
}

// replace saves as editors do: a new file is renamed into place.
func (p *place) replace(path, content string) {
	p.t.Helper()
	save(p.t, path+".tmp", content)
	if err := os.Rename(path+".tmp", path); err != nil {
		p.t.Fatal(err)
	}
}

// run runs a command of the go tool's in a folder.
func (p *place) run(dir string, args ...string) {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), "go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// prints is a main package that prints what an expression of its imports
// gives.
func prints(expression string, imports ...string) string {
	return "package main\n\nimport (\n\t\"os\"\n\t\"" + strings.Join(imports, "\"\n\t\"") + "\"\n)\n\nfunc main() { os.Stdout.WriteString(" + expression + ") }\n"
}

const callsBody = "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(body() + os.Getenv(\"TARGET\")) }\n"

func body(word string) string {
	return "package main\n\nfunc body() string { return \"" + word + "\" }\n"
}

// TestOnlyWhatIsEmbeddedIsWatched, and nothing else of the folders in which it
// lies, whatever lies there.
func TestOnlyWhatIsEmbeddedIsWatched(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{
		"hello/main.go":    "package main\n\nimport \"os\"\n\nfunc main() { os.Stdout.WriteString(page + text) }\n",
		"hello/index.html": "one", "hello/a.txt": "a", "hello/b.txt": "b", "hello/tmp/app.log": "", "hello/data/x": "",
	})
	hello := filepath.Join(root, "hello")
	pages := func(name string) string {
		return "package main\n\nimport \"embed\"\n\n//go:embed *.html\nvar pages embed.FS\n\nvar (\n\tpage = read(\"index.html\")\n\t//go:embed " + name + "\n\ttext string\n)\n\n" +
			"func read(name string) string {\n\tdata, _ := pages.ReadFile(name)\n\treturn string(data)\n}\n"
	}
	save(t, filepath.Join(hello, "pages.go"), pages("a.txt"))
	if err := syscall.Mkfifo(filepath.Join(hello, "data", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(hello, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.begin(false, "hello").walk("hello",
		step{"noise", func() {
			save(t, filepath.Join(hello, "foo_test.go"), "package main\n")
			for _, file := range []string{"coverage.out", "tmp/app.log", "README.md", "node_modules/x/a.js", "node_modules/x/a.html", "data/dump"} {
				save(t, filepath.Join(hello, file), "new")
			}
		}, ""},
		step{"a page", func() { save(t, filepath.Join(hello, "index.html"), "two") }, "twoa"},
		step{"a directive in a block", func() { save(t, filepath.Join(hello, "pages.go"), pages("b.txt")) }, "twob"},
		step{"what it embeds now", func() { save(t, filepath.Join(hello, "b.txt"), "c") }, "twoc"},
		step{"what it does not embed any more", func() { save(t, filepath.Join(hello, "a.txt"), "z") }, ""},
		step{"and what it does", func() { p.replace(filepath.Join(hello, "b.txt"), "d") }, "twod"},
	)
}

// TestLinksAreFollowed: what go compiles, and the manifest, are watched where
// they lie.
func TestLinksAreFollowed(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{
		"hello/main.go": callsBody, "common/body.go": body("one"), "common/other.go": body("other"), "deploy/hello.yaml": "",
	})
	manifest := func(target string) string {
		return strings.Replace(fmt.Sprintf(describe, "hello", p.namespace), "World", target, 1)
	}
	save(t, filepath.Join(root, "deploy", "hello.yaml"), manifest("A"))
	p.link("../common/body.go", filepath.Join(root, "hello", "body.go"))
	p.link("../deploy/hello.yaml", filepath.Join(root, "hello", "service.yaml"))
	s := p.begin(false, "hello")
	s.walk("hello",
		step{"where it lies", func() { save(t, filepath.Join(root, "common", "body.go"), body("two")) }, "twoA"},
		step{"through the link", func() { save(t, filepath.Join(root, "hello", "body.go"), body("three")) }, "threeA"},
		step{"replaced where it lies", func() { p.replace(filepath.Join(root, "common", "body.go"), body("four")) }, "fourA"},
		step{"the link leads elsewhere", func() { p.link("../common/other.go", filepath.Join(root, "hello", "body.go")) }, "otherA"},
		step{"and is followed there", func() { save(t, filepath.Join(root, "common", "other.go"), body("five")) }, "fiveA"},
		step{"what it led to before", func() { save(t, filepath.Join(root, "common", "body.go"), body("six")) }, ""},
		step{"a go.mod that becomes a link", func() {
			save(t, filepath.Join(root, "common", "go.mod.txt"), "module example.com/project\n\ngo 1.25\n")
			p.link("common/go.mod.txt", filepath.Join(root, "go.mod"))
		}, "fiveA"},
	)
	mark := s.mark()
	save(t, filepath.Join(root, "deploy", "hello.yaml"), manifest("B"))
	s.wait(&mark, event.RevisionLive)
	s.answers("hello", "fiveB")
}

// TestADirectoryThroughALink: two targets of one module, named by ways that
// differ, share what they watch, and the screen shows it as the person sees it.
func TestADirectoryThroughALink(t *testing.T) {
	for name, c := range map[string]struct {
		from string
		args []string
		file string
	}{
		"from a folder in it": {"link/a", []string{".", "../b"}, "../shared/s.go:3"},
		"from its top":        {"link", []string{"./a", "./b"}, "shared/s.go:3"},
		"from above":          {".", []string{"link/a", "real/b"}, "real/shared/s.go:3"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			uses := prints("shared.S", "example.com/real/shared")
			root := project(t, map[string]string{
				"go.mod": "", "real/go.mod": "module example.com/real\n\ngo 1.26\n", "real/a/main.go": uses, "real/b/main.go": uses, "real/shared/s.go": "package shared\n\nconst S = \"one\"\n",
			})
			p.link("real", filepath.Join(root, "link"))
			t.Chdir(filepath.Join(root, c.from))
			s, mark := p.begin(false, c.args...), 0
			s.wait(&mark, event.Watching)
			save(t, filepath.Join(root, "real", "shared", "s.go"), "package shared\n\nconst S = \"two\"\n")
			for range 2 {
				if live := s.wait(&mark, event.RevisionLive); strings.Join(live.Files, " ") != c.file {
					t.Errorf("files %v, want %s", live.Files, c.file)
				}
			}
			s.answers("a", "two")
			s.answers("b", "two")
			save(t, filepath.Join(root, "real", "shared", "s.go"), "package shared\n\nconst S = 2 + nothing\n")
			if failed := s.wait(&mark, event.BuildFailed); !strings.HasPrefix(failed.Error, c.file+":15: undefined") {
				t.Errorf("the compiler's words are %q, want %s", failed.Error, c.file)
			}
		})
	}
}

// published makes a module proxy with version v1.0.0 of example.com/lib, whose
// Word is "v1".
func (p *place) published() {
	p.t.Helper()
	proxy := filepath.Join(p.t.TempDir(), "example.com", "lib", "@v")
	const mod = "module example.com/lib\n\ngo 1.26\n"
	save(p.t, filepath.Join(proxy, "v1.0.0.info"), `{"Version":"v1.0.0"}`)
	save(p.t, filepath.Join(proxy, "v1.0.0.mod"), mod)
	archive, err := os.Create(filepath.Join(proxy, "v1.0.0.zip"))
	if err != nil {
		p.t.Fatal(err)
	}
	defer archive.Close()
	z := zip.NewWriter(archive)
	for name, content := range map[string]string{"go.mod": mod, "lib.go": word("v1")} {
		w, err := z.Create("example.com/lib@v1.0.0/" + name)
		if err == nil {
			_, err = w.Write([]byte(content))
		}
		if err != nil {
			p.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		p.t.Fatal(err)
	}
	for name, value := range map[string]string{
		"GOPROXY": "file://" + filepath.Dir(filepath.Dir(filepath.Dir(proxy))), "GONOSUMDB": "example.com", "GOFLAGS": "-modcacherw", "GOMODCACHE": p.t.TempDir(),
		"GOENV": filepath.Join(p.t.TempDir(), "go", "env"), "GOWORK": "",
	} {
		p.t.Setenv(name, value)
	}
}

func word(word string) string { return "package lib\n\nconst Word = \"" + word + "\"\n" }

// TestModuleFilesComeAndGo: each file by which the go command chooses a module
// changes what is built when it appears, and again when it goes.
func TestModuleFilesComeAndGo(t *testing.T) {
	p := newPlace(t)
	p.published()
	root := project(t, map[string]string{
		"go.mod": "", "app/go.mod": "module example.com/app\n\ngo 1.26\n\nrequire example.com/lib v1.0.0\n", "app/main.go": prints("lib.Word", "example.com/lib"),
		"lib/go.mod": "module example.com/lib\n\ngo 1.26\n", "lib/lib.go": word("local"),
	})
	app, vendored := filepath.Join(root, "app"), filepath.Join(root, "app", "vendor", "example.com", "lib", "lib.go")
	p.run(app, "mod", "tidy")
	p.begin(false, "app").walk("app",
		step{"a workspace", func() { p.run(root, "work", "init", "./app", "./lib") }, "local"},
		step{"a module of it", func() { save(t, filepath.Join(root, "lib", "lib.go"), word("edited")) }, "edited"},
		step{"no workspace", func() { p.remove(filepath.Join(root, "go.work")) }, "v1"},
		step{"what is not of it any more", func() { save(t, filepath.Join(root, "lib", "lib.go"), word("unseen")) }, ""},
		step{"vendored", func() { p.run(app, "mod", "vendor") }, "v1"},
		step{"patched", func() { save(t, vendored, word("patched")) }, "patched"},
		step{"patched again", func() { save(t, vendored, word("again")) }, "again"},
		step{"no vendor folder", func() { p.remove(filepath.Join(app, "vendor")) }, "v1"},
		step{"what go env -w sets", func() { p.run(app, "env", "-w", "GOPRIVATE=example.org") }, "v1"},
	)
}

// TestAModuleInBetween: a go.mod in a folder on the way takes what is below it
// out of the module.
func TestAModuleInBetween(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{
		"app/main.go": prints("lib.Word", "example.com/project/x/lib"), "x/lib/lib.go": word("one"),
	})
	s, mark := p.begin(false, "app"), 0
	s.wait(&mark, event.Watching)
	save(t, filepath.Join(root, "x", "go.mod"), "module example.com/x\n\ngo 1.26\n")
	s.wait(&mark, event.BuildFailed)
	p.remove(filepath.Join(root, "x", "go.mod"))
	for s.count(event.BuildStarted) < 3 {
		s.wait(&mark, event.BuildStarted)
	}
	s.wait(&mark, event.RevisionLive)
	save(t, filepath.Join(root, "x", "lib", "lib.go"), word("two"))
	s.wait(&mark, event.RevisionLive)
	s.answers("app", "two")
}

// TestSeveralPrograms: each ko:// string of a Service is built and watched,
// and an edit builds the program that it is in, and no other.
func TestSeveralPrograms(t *testing.T) {
	p := newPlace(t)
	p.published()
	root := project(t, map[string]string{
		"go.work": "go 1.26\n\nuse (\n\t.\n\t./other\n)\n", "other/go.mod": "module example.com/other\n\ngo 1.26\n", "other/main.go": says("O"),
		"front/main.go": says("F"), "side/main.go": says("S"), "unused/main.go": says("U"),
	})
	manifest := func(init, side string) {
		save(t, filepath.Join(root, "front", "service.yaml"), fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: front, namespace: %s}
spec:
  template:
    spec:
      initContainers: [{name: init, image: "ko://%s"}]
      containers:
      - {name: front, image: "ko://example.com/project/front", ports: [{containerPort: 8080}]}
      - {name: side, image: "ko://%s"}
      - {name: twin, image: "ko://example.com/project/side"}
`, p.namespace, init, side))
	}
	manifest("example.com/other", "example.com/project/side")
	s := p.begin(false, "front")
	s.walk("front",
		step{"the side's program", func() { save(t, filepath.Join(root, "side", "main.go"), says("s")) }, "OFss"},
		step{"one of another module", func() { save(t, filepath.Join(root, "other", "main.go"), says("o")) }, "oFss"},
		step{"what none runs", func() { save(t, filepath.Join(root, "unused", "main.go"), says("u")) }, ""},
		step{"the directory's own", func() { save(t, filepath.Join(root, "front", "main.go"), says("f")) }, "ofss"},
		step{"another program", func() { manifest("example.com/other", "example.com/project/unused") }, "ofus"},
		step{"which is watched too", func() { save(t, filepath.Join(root, "unused", "main.go"), says("v")) }, "ofvs"},
	)
	mark := s.mark()
	save(t, filepath.Join(root, "side", "main.go"), "package main\n\nfunc main() { nowhere() }\n")
	s.wait(&mark, event.BuildFailed)
	save(t, filepath.Join(root, "unused", "main.go"), says("w"))
	s.wait(&mark, event.BuildFailed)
	save(t, filepath.Join(root, "side", "main.go"), says("t"))
	s.wait(&mark, event.RevisionLive)
	s.answers("front", "ofwt")
	manifest("example.com/other", "example.com/project/nowhere")
	s.wait(&mark, event.Warning)
	s.answers("front", "ofwt")
}

// TestAProgramThatIsNone is refused before anything is touched.
func TestAProgramThatIsNone(t *testing.T) {
	project(t, map[string]string{
		"front/main.go": program, "lib/lib.go": "package lib\n",
		"front/service.yaml": strings.Replace(fmt.Sprintf(describe, "front", "default"), "- env:", "- image: ko://example.com/project/lib\n        env:", 1),
	})
	_, _, err := Discover(t.Context(), []string{"front"})
	if err == nil || err.Error() != "front/service.yaml: ko://example.com/project/lib is no main package but package lib" {
		t.Errorf("Discover = %v", err)
	}
}

// TestACopiedFolder: a manifest that came with its folder from another module
// still names the program there; the folder's own is meant, also after an edit.
func TestACopiedFolder(t *testing.T) {
	const copied = "- image: ko://example.org/from/front\n        env:"
	project(t, map[string]string{
		"front/main.go": program, "front/service.yaml": strings.Replace(fmt.Sprintf(describe, "front", "default"), "- env:", copied, 1),
	})
	targets, leftOut, err := Discover(t.Context(), []string{"front"})
	if err != nil || len(targets) == 0 {
		t.Fatalf("Discover = %v, %v", targets, err)
	}
	const said = "front/service.yaml names ko://example.org/from/front, which no module here has: the folder's own program is served"
	if !slices.Contains(leftOut, said) {
		t.Errorf("it says %q", leftOut)
	}
	for range 2 {
		if got := targets[0].programs(); !slices.Equal(got, []string{"example.com/project/front"}) {
			t.Errorf("it runs %q", got)
		}
		if targets[0].Service, err = targets[0].readManifest(); err != nil {
			t.Fatal(err)
		}
	}
	mistyped := strings.Replace(copied, "example.org/from/front", "example.com/project/frond", 1)
	save(t, "front/service.yaml", strings.Replace(fmt.Sprintf(describe, "front", "default"), "- env:", mistyped, 1))
	if _, _, err := Discover(t.Context(), []string{"front"}); err == nil || !strings.HasPrefix(err.Error(), "front/service.yaml: ko://example.com/project/frond: ") {
		t.Errorf("a program that this module has not: %v", err)
	}
}

// TestKodataElsewhere: what links in kodata lead to is data too, where it lies,
// and so it is if kodata is a link itself.
func TestKodataElsewhere(t *testing.T) {
	p := newPlace(t)
	root := project(t, map[string]string{"a/main.go": says("a"), "b/main.go": says("b"), "web/page": "1", "dist/sub/x": "1", ".git/HEAD": "head"})
	save(t, filepath.Join(root, "a", "kodata", "own"), "own")
	p.link("../../web/page", filepath.Join(root, "a", "kodata", "page"))
	p.link("../dist", filepath.Join(root, "b", "kodata"))
	s, mark := p.begin(false, "a", "b"), 0
	s.wait(&mark, event.Watching)
	for _, file := range []string{"web/page", "dist/sub/x", "dist/new"} {
		save(t, filepath.Join(root, file), "2")
		live := s.wait(&mark, event.RevisionLive)
		if strings.Split(strings.Join(live.Files, " "), ":")[0] != file {
			t.Errorf("after %s: %+v", file, live)
		}
	}
	save(t, filepath.Join(root, "web", "other"), "2")
	p.link("../../nowhere", filepath.Join(root, "a", "kodata", "page"))
	if failed := s.wait(&mark, event.BuildFailed); failed.Error != "a/kodata/page: this link leads to ../../nowhere, which is not there" {
		t.Errorf("a broken link: %q", failed.Error)
	}
	p.link("../../web/other", filepath.Join(root, "a", "kodata", "page"))
	s.wait(&mark, event.RevisionLive)
	save(t, filepath.Join(root, "web", "other"), "3")
	s.wait(&mark, event.RevisionLive)
	if n := s.count(event.RevisionLive); n != 7 {
		t.Errorf("%d revisions, want 7%s", n, s.told())
	}
}
