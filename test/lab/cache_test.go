package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

func TestEnsureMakesOnceWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	made := map[string]int{}
	// Twice, as two runs of the lab; the second finds everything.
	for range 2 {
		c := newTestCache(t, dir)
		need := add(t, c, recipe{name: "root", build: func(_ context.Context, b *bench) error {
			made["root"]++
			return os.WriteFile(filepath.Join(b.dir, "file"), []byte("from root"), 0o644)
		}})
		image := add(t, c, recipe{name: "image", needs: []*artefact{need}, build: func(_ context.Context, b *bench) error {
			made["image"]++
			data, err := os.ReadFile(need.path("file"))
			if err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(b.dir, "copy"), data, 0o644)
		}})
		if err := c.ensure(t.Context(), image); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(image.path("copy")); err != nil || string(data) != "from root" {
			t.Fatalf("the image holds %q, %v", data, err)
		}
		c.close()
	}
	if made["root"] != 1 || made["image"] != 1 {
		t.Errorf("recipes ran %v times, want once each", made)
	}
}

func TestFailureLeavesNoHalfArtefact(t *testing.T) {
	dir := t.TempDir()
	c := newTestCache(t, dir)
	broken := errors.New("no such module")
	a := add(t, c, recipe{name: "etcd programs", build: func(_ context.Context, b *bench) error {
		if err := os.WriteFile(filepath.Join(b.dir, "half"), nil, 0o644); err != nil {
			return err
		}
		return broken
	}})
	err := c.ensure(t.Context(), a)
	if !errors.Is(err, broken) {
		t.Fatalf("error is %v", err)
	}
	for _, part := range []string{"making etcd programs", "logs/etcd-programs.log"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not name %q", err, part)
		}
	}
	if left := names(t, filepath.Join(dir, "artefacts")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnsureStartsOverAfterAKill(t *testing.T) {
	dir := t.TempDir()
	c := newTestCache(t, dir)
	a := add(t, c, recipe{name: "root", build: func(_ context.Context, b *bench) error {
		if left := names(t, b.dir); len(left) != 0 {
			t.Errorf("the bench is not empty: %v", left)
		}
		return nil
	}})
	if err := os.MkdirAll(a.dir+".partial/out/half", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.ensure(t.Context(), a); err != nil || !a.present() {
		t.Errorf("present: %v, error %v", a.present(), err)
	}
}

func TestPruneKeepsWhatThisRunNames(t *testing.T) {
	dir := t.TempDir()
	c := newTestCache(t, dir)
	kept := add(t, c, recipe{name: "root", build: func(context.Context, *bench) error { return nil }})
	if err := c.ensure(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "artefacts", "root-0123456789abcdef"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := c.prune(); err != nil {
		t.Fatal(err)
	}
	if left := names(t, filepath.Join(dir, "artefacts")); len(left) != 1 || left[0] != filepath.Base(kept.dir) {
		t.Errorf("left are %v, want %s only", left, filepath.Base(kept.dir))
	}
}

func TestCacheIsForOneLabAtATime(t *testing.T) {
	dir := t.TempDir()
	newTestCache(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var said strings.Builder
	_, err := openCache(ctx, dir, fstest.MapFS{}, writerFunc(func(p []byte) { said.Write(p); cancel() }))
	if !errors.Is(err, context.Canceled) || !strings.Contains(said.String(), "waiting") {
		t.Errorf("the second lab said %q and ended with %v", said.String(), err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func newTestCache(t *testing.T, dir string) *cache {
	t.Helper()
	c, err := openCache(t.Context(), dir, fstest.MapFS{}, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func add(t *testing.T, c *cache, r recipe) *artefact {
	t.Helper()
	a, err := c.add(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}
