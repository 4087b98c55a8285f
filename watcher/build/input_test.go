package build_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

// links makes symbolic links, by where they are.
func links(t *testing.T, dir string, links map[string]string) {
	t.Helper()
	for at, to := range links {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, at)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
			t.Fatal(err)
		}
	}
}

// inTree is the module tiny in a folder app of a source tree.
func inTree(t *testing.T) (tree, app string) {
	t.Helper()
	tree, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write(t, tree, "app/go.mod", "module example.com/tiny\n\ngo 1.26\n")
	write(t, tree, "app/main.go", hello)
	write(t, tree, "web/page", "page")
	write(t, tree, "web/sub/x", "x")
	return tree, filepath.Join(tree, "app")
}

// TestKodataLinks: those that lead to something in the source tree are
// followed, whatever ko makes of them.
func TestKodataLinks(t *testing.T) {
	for name, c := range map[string]struct {
		links     map[string]string
		files     map[string]string // at $KO_DATA_PATH: what they hold
		elsewhere string
	}{
		"inside":        {map[string]string{"app/kodata/again": "own"}, map[string]string{"own": "own", "again": "own"}, ""},
		"to a file":     {map[string]string{"app/kodata/page": "../../web/page"}, map[string]string{"own": "own", "page": "page"}, "web/page"},
		"to a folder":   {map[string]string{"app/kodata/web": "../../web"}, map[string]string{"web/page": "page", "web/sub/x": "x"}, "web"},
		"in a row":      {map[string]string{"app/kodata/a": "../b", "app/b": "../web/page"}, map[string]string{"a": "page"}, "web/page"},
		"of git's":      {map[string]string{"app/kodata/HEAD": "../../.git/HEAD"}, map[string]string{"HEAD": "head"}, ".git/HEAD"},
		"kodata itself": {map[string]string{"app/kodata": "../web"}, map[string]string{"page": "page", "sub/x": "x"}, "web"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, app := inTree(t)
			write(t, tree, ".git/HEAD", "head")
			if name != "kodata itself" {
				write(t, app, "kodata/own", "own")
			}
			links(t, tree, c.links)
			b := build.New(build.Options{})
			img, err := b.Build(t.Context(), app, "example.com/tiny")
			if err != nil {
				t.Fatal(err)
			}
			files := contents(t, img)
			for file, want := range c.files {
				if got := string(files["/var/run/ko/"+file]); got != want {
					t.Errorf("%s holds %q, want %q", file, got, want)
				}
			}
			if got := run(t, files["/ko-app/tiny"]); got != "hello\n" {
				t.Errorf("the binary says %q", got)
			}
			elsewhere, err := build.Data(app, "")
			if got := strings.TrimPrefix(strings.Join(elsewhere, " "), tree+"/"); err != nil || got != c.elsewhere {
				t.Errorf("belongs to it: %q, %v; want %q", got, err, c.elsewhere)
			}
		})
	}
}

// TestKodataThatCannotBe names the link.
func TestKodataThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct{ to, want string }{
		"broken":               {"nowhere", "app/kodata/x: this link leads to nowhere, which is not there"},
		"out of the tree":      {"/etc/hostname", "app/kodata/x: this link leads to /etc/hostname, outside of the source tree "},
		"to what it lies in":   {"../../../app", "app/kodata/deep/x: this link leads to app, in which it lies"},
		"back and forth":       {"x", "app/kodata/x: this link leads to x, which is not there"},
		"a file for a folder":  {"../main.go/x", "app/kodata/x: this link leads to ../main.go/x, which is not there"},
		"beside a submodule's": {"../.git/HEAD", "app/kodata/x: this link leads to ../.git/HEAD, which is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			tree, app := inTree(t)
			write(t, tree, ".git/HEAD", "head")
			write(t, app, ".git", "gitdir: ../.git/modules/app\n")
			at := "app/kodata/x"
			if strings.HasPrefix(c.want, "app/kodata/deep") {
				at = "app/kodata/deep/x"
			}
			links(t, tree, map[string]string{at: c.to})
			_, err := build.New(build.Options{WorkDir: tree}).Build(t.Context(), app, "example.com/tiny")
			var wrong *build.DataError
			if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestKodataOfWhatIsNoFile is left out, and waited for by nobody.
func TestKodataOfWhatIsNoFile(t *testing.T) {
	_, app := inTree(t)
	write(t, app, "kodata/own", "own")
	if err := syscall.Mkfifo(filepath.Join(app, "kodata", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := build.New(build.Options{}).Build(t.Context(), app, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	files := contents(t, img)
	if _, there := files["/var/run/ko/pipe"]; there || string(files["/var/run/ko/own"]) != "own" {
		t.Errorf("the image has the pipe: %v; own holds %q", there, files["/var/run/ko/own"])
	}
}

// TestKoYAMLThatIsWrong names the file, and no program suffers for an entry
// that is another's.
func TestKoYAMLThatIsWrong(t *testing.T) {
	for name, c := range map[string]struct{ config, want, unused string }{
		"no YAML":                 {"builds: [", ".ko.yaml: ", ""},
		"another type":            {"builds: word\n", ".ko.yaml: ", ""},
		"a template of nothing":   {"builds: [{id: h, main: ., ldflags: [\"-X main.word={{.Env.APP_VERSION}}\"]}]\n", ".ko.yaml: template: argsTmpl:1:", ""},
		"a template that is none": {"builds: [{main: ., flags: [\"{{\"]}]\n", ".ko.yaml: {{: template: flag:1:", ""},
		"a base image of nothing": {"defaultBaseImage: \"no image\"\n", ".ko.yaml: ", ""},
		"an entry of no folder": {
			"builds: [{id: here, main: ., ldflags: [\"-X main.word=mine\"]}, {id: ghost, main: ./ghost}]\n", "",
			".ko.yaml: builds: entry ghost is for ghost, which is not there",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t, hello)
			write(t, dir, ".ko.yaml", c.config)
			img, err := build.New(build.Options{WorkDir: dir}).Build(t.Context(), dir, "example.com/tiny")
			var wrong *build.ConfigError
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want == "":
				if got := run(t, contents(t, img)["/ko-app/tiny"]); got != "mine\n" {
					t.Errorf("the binary says %q", got)
				}
			case !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), c.want):
				t.Errorf("Build = %v, want a ConfigError %q", err, c.want)
			}
			unused, err := build.CheckConfig(dir, dir)
			if got := strings.Join(unused, "; "); got != c.unused || (err != nil) != (c.want != "" && !strings.Contains(c.want, "argsTmpl")) {
				t.Errorf("CheckConfig = %q, %v; want %q", got, err, c.unused)
			}
		})
	}
}

// TestFlagsOfOnesOwn take no default away that they do not name.
func TestFlagsOfOnesOwn(t *testing.T) {
	dir := tiny(t, hello)
	write(t, dir, ".git/HEAD", "ref: refs/heads/none\n") // no repository that git can read
	t.Setenv("GOFLAGS", "")
	for _, config := range []string{"defaultFlags: [\"-trimpath\"]\n", "builds: [{main: ., flags: [\"-trimpath\"]}]\n", "builds: [{main: main.go, flags: -trimpath}]\n"} {
		write(t, dir, ".ko.yaml", config)
		if _, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny"); err != nil {
			t.Errorf("%s: %v", config, err)
		}
	}
	write(t, dir, ".ko.yaml", "defaultFlags: [\"-buildvcs=true\"]\n")
	if _, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny"); err == nil {
		t.Error("-buildvcs=true is not obeyed")
	}
}

// TestARegistryThatSaysNothing holds up its own build alone, which ends when it
// is told to, and says what it waits for.
func TestARegistryThatSaysNothing(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	base := listener.Addr().String() + "/x"
	mute, quick := tiny(t, hello), tiny(t, hello)
	write(t, mute, ".ko.yaml", "defaultBaseImage: "+base+"\n")
	waits := make(chan string, 1)
	b := build.New(build.Options{Waits: func(sentence string) { waits <- sentence }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Build(ctx, mute, "example.com/tiny")
		ended <- err
	}()
	if got, want := <-waits, fmt.Sprintf("waiting for the registry %s, which has the base image %s", listener.Addr(), base); got != want {
		t.Errorf("told %q, want %q", got, want)
	}
	if _, err := b.Build(t.Context(), quick, "example.com/tiny"); err != nil {
		t.Error(err)
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Build = %v", err)
		}
	case <-time.After(time.Minute):
		t.Error("the build goes on after its end")
	}
}

// TestWhatWasLeftGoes: a new Builder removes what those of processes that are
// gone have left, and nothing of one that runs.
func TestWhatWasLeftGoes(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	gone := exec.CommandContext(t.Context(), "true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	left, others, own := fmt.Sprintf("devbox-build-%d-1", gone.Process.Pid), fmt.Sprintf("devbox-build-%d-1", os.Getppid()), fmt.Sprintf("devbox-build-%d-1", os.Getpid())
	unnamed := fmt.Sprintf("devbox-build-%d0", gone.Process.Pid) // a number, and of no process
	for _, dir := range []string{left, others, own, unnamed} {
		write(t, tmp, dir+"/x", "")
	}
	there := func() string {
		entries, err := os.ReadDir(tmp)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " ")
	}
	build.New(build.Options{})
	if got := there(); strings.Contains(got, left) || !strings.Contains(got, others) || !strings.Contains(got, own) || !strings.Contains(got, unnamed) {
		t.Errorf("there is still %s", got)
	}
	build.RemoveTemp()
	if got := there(); strings.Contains(got, own) || !strings.Contains(got, others) {
		t.Errorf("after the end there is %s", got)
	}
}
