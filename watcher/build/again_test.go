package build_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

const library = "package lib\n\n// Word is one.\nfunc Word() string { return word() }\n\n//go:noinline\nfunc word() string { return \"hello\" }\n"

// shelf is a module of a program, a package it imports, one that imports that
// one, and files of each kind that there may be.
func shelf(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for file, content := range map[string]string{
		"go.mod":         "module example.com/tiny\n\ngo 1.26\n",
		"lib/lib.go":     library,
		"mid/mid.go":     "package mid\n\nimport \"example.com/tiny/lib\"\n\nfunc Word() string { return lib.Word() }\n",
		"page/page.go":   "package page\n\nimport _ \"embed\"\n\n//go:embed page.txt\nvar Page string\n",
		"page/page.txt":  "page",
		"main.go":        "package main\n\nimport (\n\t\"example.com/tiny/mid\"\n\t\"example.com/tiny/page\"\n)\n\nfunc main() { println(mid.Word(), page.Page) }\n",
		"main_test.go":   "package main\n",
		"kodata/a/b.txt": "data",
		"kodata/empty/x": "x",
	} {
		write(t, dir, file, content)
	}
	if err := os.Remove(filepath.Join(dir, "kodata/empty/x")); err != nil {
		t.Fatal(err)
	}
	return dir
}

func replace(t *testing.T, dir, file, from, to string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), from) {
		t.Fatalf("%s holds no %q", file, from)
	}
	write(t, dir, file, strings.ReplaceAll(string(data), from, to))
}

func remembers(t testing.TB) *build.Builder {
	t.Helper()
	b := build.New(build.Options{Again: true})
	t.Cleanup(b.Close)
	return b
}

// TestAgain goes through edits. Each says which way it takes, and the image is
// that of a Builder that remembers nothing.
func TestAgain(t *testing.T) {
	dir, b := shelf(t), remembers(t)
	for _, step := range []struct {
		name string
		edit func()
		want string // how it is made
		says string // what the program says
	}{
		{"first", func() {}, "", "hello page"},
		{"nothing", func() {}, "nothing to compile", "hello page"},
		{"the program's own file", func() { replace(t, dir, "main.go", "println(", "println(\"so:\", ") }, "compiled example.com/tiny and linked", "so: hello page"},
		{"a body that nobody sees", func() { replace(t, dir, "lib/lib.go", "hello", "howdy") }, "compiled example.com/tiny/lib and linked", "so: howdy page"},
		{"a body that is inlined", func() { replace(t, dir, "lib/lib.go", "return word()", "return word() + word()") }, "compiled example.com/tiny/lib, example.com/tiny/mid, example.com/tiny and linked", "so: howdyhowdy page"},
		{"taken back", func() { replace(t, dir, "lib/lib.go", "return word() + word()", "return word()") }, "nothing to compile", "so: howdy page"},
		{"data and a test", func() {
			write(t, dir, "kodata/a/b.txt", "other")
			write(t, dir, "kodata/c.txt", "more")
			write(t, dir, "main_test.go", "package main\n\nvar x int\n")
		}, "nothing to compile", "so: howdy page"},
		{"an import", func() { replace(t, dir, "lib/lib.go", "package lib\n", "package lib\n\nimport _ \"strings\"\n") }, "by the go command: the package, the imports or a directive of lib/lib.go have changed", "so: howdy page"},
		{"a body after it", func() { replace(t, dir, "lib/lib.go", "howdy", "good day") }, "compiled example.com/tiny/lib and linked", "so: good day page"},
		{"an embedded file", func() { write(t, dir, "page/page.txt", "leaf") }, "by the go command: page/page.txt has changed", "so: good day leaf"},
		{"a body of who embeds", func() {
			replace(t, dir, "page/page.go", "var Page string", "var Page string\n\nfunc init() { Page += \"s\" }")
		}, "compiled example.com/tiny/page, example.com/tiny and linked", "so: good day leafs"},
		{"a new file", func() { write(t, dir, "lib/more.go", "package lib\n\nfunc more() {}\n") }, "by the go command: lib/more.go is new", "so: good day leafs"},
		{"flags", func() { write(t, dir, ".ko.yaml", "defaultLdflags: [-s]\ndefaultFlags: [-trimpath]\n") }, "by the go command: .ko.yaml or the environment has changed", "so: good day leafs"},
		{"a body with flags", func() { replace(t, dir, "lib/lib.go", "good day", "bye") }, "compiled example.com/tiny/lib and linked", "so: bye leafs"},
		{"a folder that is gone", func() {
			if err := os.RemoveAll(filepath.Join(dir, "mid")); err != nil {
				t.Fatal(err)
			}
			replace(t, dir, "main.go", "/mid", "/lib")
			replace(t, dir, "main.go", "mid.", "lib.")
		}, "by the go command: the package, the imports or a directive of main.go have changed", "so: bye leafs"},
		{"a workspace", func() { write(t, dir, "go.work", "go 1.26\n\nuse .\n") }, "by the go command: go.work is new", "so: bye leafs"},
	} {
		step.edit()
		img, err := b.Build(t.Context(), dir, "example.com/tiny")
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if got := strings.ReplaceAll(build.Way(img), dir+"/", ""); got != step.want {
			t.Errorf("%s: %s\nwant %s", step.name, got, step.want)
		}
		b.Learned()
		if got := said(t, contents(t, img)["/ko-app/tiny"]); got != step.says {
			t.Errorf("%s: the program says %q, want %q", step.name, got, step.says)
		}
		if step.want == "" || strings.HasPrefix(step.want, "by the go command") {
			continue
		}
		anew, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		sameImage(t, step.name, img, anew)
	}
}

// TestAgainThroughLink names files as the developer's folder has them, also
// where the shell came to it by a link, which the go command takes from PWD.
func TestAgainThroughLink(t *testing.T) {
	dir, link := shelf(t), filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	t.Chdir(link) // sets PWD too
	b := build.New(build.Options{Again: true, WorkDir: dir})
	t.Cleanup(b.Close)
	if _, err := b.Build(t.Context(), dir, "example.com/tiny"); err != nil {
		t.Fatal(err)
	}
	b.Learned()
	write(t, dir, "lib/more.go", "package lib\n")
	img, err := b.Build(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := build.Way(img), "by the go command: lib/more.go is new"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func said(t *testing.T, program []byte) string {
	t.Helper()
	return strings.TrimSpace(run(t, program))
}

func sameImage(t *testing.T, name string, a, b v1.Image) {
	t.Helper()
	one, two := config(t, a), config(t, b)
	for i := range one.RootFS.DiffIDs {
		if one.RootFS.DiffIDs[i] != two.RootFS.DiffIDs[i] {
			t.Errorf("%s: layers %d differ", name, i)
		}
	}
	if got, want := digest(t, a), digest(t, b); got != want {
		t.Errorf("%s: image %s, want %s; configuration\n%s\nwant\n%s", name, got, want, text(t, one), text(t, two))
	}
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func config(t *testing.T, img v1.Image) *v1.ConfigFile {
	t.Helper()
	c, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	return c.DeepCopy()
}

func text(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestAgainDoesNotCompile has the words of a Builder that remembers nothing.
func TestAgainDoesNotCompile(t *testing.T) {
	dir, b := shelf(t), remembers(t)
	if _, err := b.Build(t.Context(), dir, "example.com/tiny"); err != nil {
		t.Fatal(err)
	}
	b.Learned()
	replace(t, dir, "lib/lib.go", "return word()", "return words()")
	replace(t, dir, "main.go", "println(", "println(\"so:\" + 1, ")
	_, err := b.Build(t.Context(), dir, "example.com/tiny")
	_, anew := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
	var wrong *build.CompileError
	if !errors.As(err, &wrong) || anew == nil || err.Error() != anew.Error() {
		t.Errorf("it says\n%v\nwant\n%v", err, anew)
	}
	replace(t, dir, "lib/lib.go", "return words()", "return word()")
	replace(t, dir, "main.go", "println(\"so:\" + 1, ", "println(")
	img, err := b.Build(t.Context(), dir, "example.com/tiny")
	if err != nil || build.Way(img) != "nothing to compile" {
		t.Errorf("mended it is made by %q, %v", build.Way(img), err)
	}
}

// TestAgainWithoutArchives: what goes from the build cache is made again by
// the go command.
func TestAgainWithoutArchives(t *testing.T) {
	dir, b := shelf(t), remembers(t)
	if _, err := b.Build(t.Context(), dir, "example.com/tiny"); err != nil {
		t.Fatal(err)
	}
	b.Learned()
	flags, env, err := b.ListFlags(dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	list := exec.CommandContext(t.Context(), "go", append(append([]string{"list", "-export", "-f", "{{.Export}}"}, flags...), "example.com/tiny/mid")...)
	list.Dir, list.Env = dir, append(os.Environ(), env...)
	archive, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(strings.TrimSpace(string(archive))); err != nil {
		t.Fatal(err)
	}
	replace(t, dir, "main.go", "println(", "println(\"so:\", ")
	img, err := b.Build(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := build.Way(img), "by the go command: the build cache has no longer an archive of example.com/tiny/mid"; got != want {
		t.Errorf("it is made %s, want %s", got, want)
	}
	if got := said(t, contents(t, img)["/ko-app/tiny"]); got != "so: hello page" {
		t.Errorf("the program says %q", got)
	}
}

// TestAgainShares: what one program has compiled serves the others.
func TestAgainShares(t *testing.T) {
	dir, b := shelf(t), remembers(t)
	write(t, dir, "other/main.go", "package main\n\nimport \"example.com/tiny/lib\"\n\nfunc main() { println(lib.Word()) }\n")
	places := map[string]string{"example.com/tiny": dir, "example.com/tiny/other": filepath.Join(dir, "other")}
	for importPath, at := range places {
		if _, err := b.Build(t.Context(), at, importPath); err != nil {
			t.Fatal(err)
		}
	}
	b.Learned()
	replace(t, dir, "lib/lib.go", "hello", "howdy")
	ways := make(chan string)
	for importPath, at := range places {
		go func() {
			img, err := b.Build(t.Context(), at, importPath)
			if err != nil {
				t.Error(err)
			}
			ways <- build.Way(img)
		}()
	}
	got := []string{<-ways, <-ways}
	slices.Sort(got)
	if want := []string{"compiled example.com/tiny/lib and linked", "linked"}; !slices.Equal(got, want) {
		t.Errorf("made in the ways %q, want %q", got, want)
	}
}

// TestAgainCancelled leaves nothing, and the next one is well.
func TestAgainCancelled(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir, b := shelf(t), build.New(build.Options{Again: true})
	if _, err := b.Build(t.Context(), dir, "example.com/tiny"); err != nil {
		t.Fatal(err)
	}
	b.Learned()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a newer edit"))
	replace(t, dir, "lib/lib.go", "hello", "howdy")
	if _, err := b.Build(ctx, dir, "example.com/tiny"); err == nil || !strings.Contains(err.Error(), "a newer edit") {
		t.Errorf("error = %v, want the cause", err)
	}
	img, err := b.Build(t.Context(), dir, "example.com/tiny")
	if err != nil || build.Way(img) != "compiled example.com/tiny/lib and linked" {
		t.Errorf("the next is made %q, %v", build.Way(img), err)
	}
	b.Close()
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
