package notify

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch runs a Watcher over a set of a temporary folder.
func watch(t *testing.T, set Set) <-chan Batch {
	t.Helper()
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(set); err != nil {
		t.Fatal(err)
	}
	out := make(chan Batch)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, out) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	return out
}

// until gathers batches until every wanted file was in one.
func until(t *testing.T, out <-chan Batch, want ...string) (files []string, rescan bool) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		missing := slices.DeleteFunc(slices.Clone(want), func(f string) bool { return slices.Contains(files, f) })
		if len(missing) == 0 {
			return files, rescan
		}
		select {
		case b := <-out:
			files = append(files, b.Files...)
			rescan = rescan || b.Rescan
		case <-late:
			t.Fatalf("no word of %v; only of %v", missing, files)
		}
	}
}

func save(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(time.Now().String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func goFile(f string) bool { return filepath.Ext(f) == ".go" }

func TestASaveIsNoticed(t *testing.T) {
	dir := t.TempDir()
	main := save(t, filepath.Join(dir, "main.go"))
	out := watch(t, Set{Dirs: []string{dir}, Relevant: goFile})
	for name, edit := range map[string]func() error{
		"written": func() error { return os.WriteFile(main, []byte("x"), 0o644) },
		"replaced as editors do": func() error {
			tmp := save(t, filepath.Join(dir, "4913"))
			return os.Rename(tmp, main)
		},
		"removed": func() error { return os.Remove(main) },
		"made":    func() error { return os.WriteFile(main, nil, 0o644) },
	} {
		_ = os.WriteFile(main, nil, 0o644) // whatever the order of the map
		if err := edit(); err != nil {
			t.Fatal(err)
		}
		if got, _ := until(t, out, main); slices.Contains(got, filepath.Join(dir, "4913")) {
			t.Errorf("%s: %v has files that do not matter", name, got)
		}
	}
}

func TestNoiseIsDropped(t *testing.T) {
	dir := t.TempDir()
	main := save(t, filepath.Join(dir, "main.go"))
	out := watch(t, Set{Dirs: []string{dir}, Relevant: goFile})
	if err := os.Chmod(main, 0o600); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, "main.go~"))
	save(t, filepath.Join(dir, "sub", "other.go"))
	marker := save(t, filepath.Join(dir, "marker.go"))
	if got, rescan := until(t, out, marker); len(got) != 1 || rescan {
		t.Errorf("noise in %v, rescan %v", got, rescan)
	}
}

func TestFoldersThatAppear(t *testing.T) {
	root := t.TempDir()
	pkg := filepath.Join(root, "internal", "pkg")
	data := filepath.Join(root, "kodata")
	out := watch(t, Set{Dirs: []string{root, pkg}, Trees: []string{data}})
	until(t, out, save(t, filepath.Join(pkg, "new.go")))
	until(t, out, save(t, filepath.Join(pkg, "more.go")))
	until(t, out, save(t, filepath.Join(data, "a", "b", "c.html")))
	until(t, out, save(t, filepath.Join(data, "a", "b", "d.html")))

	// A branch without the folder, and back.
	if err := os.RemoveAll(filepath.Join(root, "internal")); err != nil {
		t.Fatal(err)
	}
	for rescan := false; !rescan; {
		rescan = (<-out).Rescan
	}
	until(t, out, save(t, filepath.Join(pkg, "new.go")))
	until(t, out, save(t, filepath.Join(pkg, "again.go")))
}

func TestASetReplacesTheLast(t *testing.T) {
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	save(t, filepath.Join(a, "a.go"))
	save(t, filepath.Join(b, "b.go"))
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range []Set{{Dirs: []string{a, b}}, {Dirs: []string{b}}} {
		if err := w.Watch(set); err != nil {
			t.Fatal(err)
		}
	}
	if got := w.fs.WatchList(); len(got) != 1 || got[0] != b {
		t.Errorf("watching %v, want only %s", got, b)
	}
	if err := w.fs.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLostEventsAskForARescan(t *testing.T) {
	dir := t.TempDir()
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Watch(Set{Dirs: []string{dir}}); err != nil {
		t.Fatal(err)
	}
	out := make(chan Batch)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, out) }()
	w.fs.Errors <- fsnotify.ErrEventOverflow
	if b := <-out; !b.Rescan {
		t.Errorf("batch = %+v, want a rescan", b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLimitsAreNamed(t *testing.T) {
	for errno, want := range map[syscall.Errno]string{
		syscall.ENOSPC: "sudo sysctl -w fs.inotify.max_user_watches=524288",
		syscall.EMFILE: "sudo sysctl -w fs.inotify.max_user_instances=8192",
	} {
		var limit *LimitError
		if err := explain(os.NewSyscallError("inotify", errno)); !errors.As(err, &limit) || limit.Hint() != want || !errors.Is(err, errno) {
			t.Errorf("%v: %v", errno, err)
		}
	}
	if err := explain(syscall.EACCES); !errors.Is(err, syscall.EACCES) || strings.Contains(err.Error(), "limit") {
		t.Errorf("another error became %v", err)
	}
}

func TestGitAtWork(t *testing.T) {
	tree := t.TempDir()
	git := filepath.Join(tree, ".git")
	save(t, filepath.Join(git, "HEAD"))
	linked := t.TempDir()
	if err := os.WriteFile(filepath.Join(linked, ".git"), []byte("gitdir: "+filepath.Join(git, "worktrees", "x")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	got := gitDirs([]string{filepath.Join(tree, "cmd", "app"), filepath.Join(tree, "lib"), linked, t.TempDir()})
	if want := []string{git, filepath.Join(git, "worktrees", "x")}; !slices.Equal(got, want) {
		t.Fatalf("git's folders are %v, want %v", got, want)
	}
	now := time.Now()
	if lock := gitBusy(git, now); lock != "" {
		t.Errorf("busy at rest: %s", lock)
	}
	lock := save(t, filepath.Join(git, "index.lock"))
	if got := gitBusy(git, now); got != lock {
		t.Errorf("a locked index: %q", got)
	}
	for what, at := range map[string]time.Time{
		"a lock that was there long before": now.Add(-3 * time.Second), "a lock of a wrong clock": now.Add(time.Hour),
	} {
		if err := os.Chtimes(lock, at, at); err != nil {
			t.Fatal(err)
		}
		if got := gitBusy(git, now); got != "" {
			t.Errorf("%s holds", what)
		}
	}
	save(t, filepath.Join(git, "rebase-merge", "msgnum"))
	if got := gitBusy(git, now); got != filepath.Join(git, "rebase-merge") {
		t.Errorf("a rebase: %q", got)
	}
	old := time.Now().Add(-time.Minute)
	for _, f := range []string{"HEAD", "rebase-merge"} {
		if err := os.Chtimes(filepath.Join(git, f), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if got := gitBusy(git, now); got != "" {
		t.Errorf("busy though the rebase has stopped for the user: %s", got)
	}
}

// TestOnlyWhatIsWantedIsWatched: of a tree, and of it only what can be read.
func TestOnlyWhatIsWantedIsWatched(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"pages/a.html", "node_modules/x/a.js", "data/dump"} {
		save(t, filepath.Join(root, f))
	}
	elsewhere := t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(root, "pages", "linked")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pages", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.fs.Close() }()
	pages := filepath.Join(root, "pages")
	set := Set{Trees: []string{root, filepath.Join(pages, "linked")}, Enters: func(dir string) bool { return strings.HasPrefix(dir, pages) }}
	if err := w.Watch(set); err != nil {
		t.Fatal(err)
	}
	got := w.fs.WatchList()
	slices.Sort(got)
	if want := []string{root, pages}; !slices.Equal(got, want) {
		t.Errorf("watching %v, want %v", got, want)
	}
	if _, err := w.event(fsnotify.Event{Name: filepath.Join(root, "node_modules"), Op: fsnotify.Create}); err != nil || len(w.fs.WatchList()) != 2 {
		t.Errorf("a folder that came is watched: %v, %v", w.fs.WatchList(), err)
	}
}

// TestMuteFoldersAreLookedAt: what happens in them is seen without an event.
func TestMuteFoldersAreLookedAt(t *testing.T) {
	root := t.TempDir()
	pkg, data := filepath.Join(root, "pkg"), filepath.Join(root, "kodata")
	main, old := save(t, filepath.Join(pkg, "main.go")), save(t, filepath.Join(pkg, "old.go"))
	save(t, filepath.Join(data, "a"))
	w, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.fs.Close() }()
	w.isMute = func(string) bool { return true }
	if err := w.Watch(Set{Dirs: []string{pkg}, Trees: []string{data}, Relevant: func(f string) bool { return goFile(f) || strings.HasPrefix(f, data) }}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]map[string]stamp{}
	look := func() string {
		var names []string
		for _, f := range w.look(seen) {
			names = append(names, strings.TrimPrefix(f, root+"/"))
		}
		slices.Sort(names)
		return strings.Join(slices.Compact(names), " ")
	}
	if got := look(); got != "" {
		t.Errorf("the first look finds %s changed", got)
	}
	save(t, filepath.Join(pkg, "README.md"))
	if got := look(); got != "" {
		t.Errorf("what does not matter is %s", got)
	}
	if err := os.Remove(old); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(main, []byte("another length"), 0o644); err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(data, "sub", "b"))
	if got := look(); got != "kodata/sub/b pkg/main.go pkg/old.go" {
		t.Errorf("changed are %s", got)
	}
	look()
	if err := os.WriteFile(filepath.Join(data, "sub", "b"), []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := look(); got != "kodata/sub/b" {
		t.Errorf("in a folder that came: %s", got)
	}
}
