package runner

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layered is an image whose layers disagree about nearly everything.
func layered(t *testing.T) []v1.Layer {
	return []v1.Layer{
		layer(t,
			dir("./", 0o755), dir("tmp", 0o1777), dir("opt", 0o700),
			file("a/low", 0o644, "low"), file("a/both", 0o644, "low"), file("b/hidden", 0o644, "low"),
			file("c/gone", 0o644, "low"), file("dir/file", 0o644, "low"), link("linked", "/a"), file("file", 0o644, "low"),
			file("again/low", 0o644, "low"),
		),
		layer(t,
			file("a/both", 0o644, "middle"), file("a/middle", 0o644, "middle"), file("b/.wh..wh..opq", 0, ""), file("b/new", 0o644, "middle"),
			file("c/.wh.gone", 0, ""), file("dir", 0o644, "now a file"), file("tmp/m", 0o644, "middle"),
			file("opt/m", 0o644, "middle"), file(".wh.again", 0, ""),
		),
		layer(t, file("a/top", 0o644, "top"), file("again/top", 0o644, "top")),
	}
}

// The view and the kernel's overlay must agree, so both are asked.
func TestViewIsWhatAProcessSees(t *testing.T) {
	w := newWorld(t, Options{})
	image := w.pull(t, w.push(t, "layered", v1.Config{User: "0"}, append(layered(t), program(t), layer(t, file("a/other", 0o644, "")), program(t))...)) // one layer twice
	defer image.Release()
	v := w.store.view(image.record)
	for name, want := range map[string]string{
		"/a/low": "low", "/a/both": "middle", "/a/middle": "middle", "/a/top": "top",
		"/b/hidden": "", "/b/new": "middle", "/c/gone": "", "/dir": "now a file", "/dir/file": "",
		"/linked/top": "top", "/linked/../file": "low", "/again/low": "", "/again/top": "top", "/tmp/m": "middle",
	} {
		content, err := v.read(name)
		if string(content) != want || (err == nil) != (want != "") {
			t.Errorf("the view has %q at %s (%v), want %q", content, name, err, want)
		}
		if !w.Isolation().Root {
			continue
		}
		out, exit := w.output(t, Spec{Image: image}, "cat", name)
		if exit.Code == 0 && out != want || (exit.Code == 0) != (want != "") {
			t.Errorf("a process finds %q at %s, want %q", out, name, want)
		}
	}
}

// A layer that has something in a directory without a header for it must not
// change the directory.
func TestImpliedDirectoriesKeepTheirMode(t *testing.T) {
	w := newWorld(t, Options{})
	if !w.Isolation().Root {
		t.Skip(w.Isolation().Reason)
	}
	image := w.pull(t, w.push(t, "layered", v1.Config{User: "0"}, append(layered(t), program(t))...))
	defer image.Release()
	out, _ := w.output(t, Spec{Image: image}, "stat", "/", "/tmp", "/opt", "/etc", "/a")
	want := "/ drwxr-xr-x\n/tmp dtrwxrwxrwx\n/opt drwx------\n/etc drwxr-xr-x\n/a drwxr-xr-x\n"
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestScope(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"a/b", "run"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"abs": "/a/b", "up": "../../../a", "a/b/back": "..", "loop": "loop", "far": "/../../etc"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for name, want := range map[string]string{
		"": ".", "a/b": "a/b", "abs/f": "a/b/f", "up/b": "a/b", "a/b/back/x": "a/x", "a/b/back/../run": "run",
		"../../a": "a", "none/../run": "run", "far/passwd": "etc/passwd", "abs/back/back": "a/back",
	} {
		if got, err := scope(root, name); err != nil || got != want {
			t.Errorf("scope(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := scope(root, "loop/x"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("a loop: %v", err)
	}
}

func TestLookup(t *testing.T) {
	w := newWorld(t, Options{Direct: true})
	image := w.pull(t, w.push(t, "base", v1.Config{}, base(t)))
	defer image.Release()
	v := w.store.view(image.record)
	for name, want := range map[string]user{
		"":             {home: "/root"},
		"nonroot":      {uid: 65532, gid: 65532, groups: []int{7000}, home: "/home/nonroot"},
		"65532":        {uid: 65532, gid: 65532, groups: []int{7000}, home: "/home/nonroot"},
		"65532:logs":   {uid: 65532, gid: 7000, home: "/home/nonroot"},
		"1000":         {uid: 1000, home: "/"},
		"1000:2000":    {uid: 1000, gid: 2000, home: "/"},
		"nonroot:2000": {uid: 65532, gid: 2000, home: "/home/nonroot"},
	} {
		got, err := v.lookup(name)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(user{})); diff != "" || err != nil {
			t.Errorf("%q: %v %s", name, err, diff)
		}
	}
	for _, name := range []string{"somebody", "0:somebody"} {
		if _, err := v.lookup(name); err == nil || !strings.Contains(err.Error(), "number") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
