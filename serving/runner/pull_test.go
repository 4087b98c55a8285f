package runner

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// guarded is a registry that counts what is asked of it and can be shut.
type guarded struct {
	http.Handler
	shut  atomic.Bool
	gate  atomic.Pointer[func(*http.Request)]
	mu    sync.Mutex
	asked []string // "METHOD path"
}

func (g *guarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	g.asked = append(g.asked, r.Method+" "+r.URL.Path)
	g.mu.Unlock()
	if gate := g.gate.Load(); gate != nil {
		(*gate)(r)
	}
	if g.shut.Load() {
		http.Error(w, "shut", http.StatusForbidden)
		return
	}
	g.Handler.ServeHTTP(w, r)
}

// count is how many requests asked for a part of the path.
func (g *guarded) count(part string) (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range g.asked {
		if strings.Contains(a, part) {
			n++
		}
	}
	return n
}

func guard(t testing.TB, o Options) (*world, *guarded) {
	g := &guarded{Handler: registry.New(registry.Logger(quiet))}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	w := &world{host: strings.TrimPrefix(server.URL, "http://"), dir: t.TempDir()}
	w.open(t, o)
	return w, g
}

func digestOf(t *testing.T, l v1.Layer) v1.Hash {
	t.Helper()
	h, err := l.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestPullByDigestNeedsNoRegistryTwice(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	ref := w.push(t, "app:v1", v1.Config{Env: []string{"A=1"}}, layer(t, file("f", 0o644, "f")))
	first := w.pull(t, ref)
	g.shut.Store(true)
	again := w.pull(t, ref)
	first.Release()
	again.Release()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t, Options{Direct: true}) // and not after a restart
	image := w.pull(t, ref)
	defer image.Release()
	if diff := cmp.Diff([]string{"A=1"}, image.Config().Config.Env); diff != "" {
		t.Error(diff)
	}
	if image.Ref() != ref || !strings.HasSuffix(ref, image.Digest().String()) || image.Size() != 4096 {
		t.Errorf("%s is %s of %d bytes", image.Ref(), image.Digest(), image.Size())
	}
	if _, err := w.Pull(t.Context(), strings.Replace(ref, image.Digest().Hex[:4], "0000", 1), false, nil); err == nil {
		t.Error("an image that is not here came from a registry that is shut")
	}
}

func TestPullByTag(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	tag := w.host + "/app:latest"
	old := w.push(t, "app:latest", v1.Config{}, layer(t, file("f", 0o644, "old")))
	w.pull(t, tag).Release()
	current := w.push(t, "app:latest", v1.Config{}, layer(t, file("f", 0o644, "new")))

	seen := w.pull(t, tag)
	defer seen.Release()
	if !strings.HasSuffix(old, seen.Digest().String()) {
		t.Errorf("a tag that was seen is %s, want %s", seen.Digest(), old)
	}
	always, err := w.Pull(t.Context(), tag, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer always.Release()
	if !strings.HasSuffix(current, always.Digest().String()) {
		t.Errorf("always asking gave %s, want %s", always.Digest(), current)
	}
	g.shut.Store(true)
	if _, err := w.Pull(t.Context(), tag, true, nil); err == nil {
		t.Error("always asking asked nobody")
	}
	if _, err := w.Pull(t.Context(), "no reference!", true, nil); err == nil {
		t.Error("a reference that is none was pulled")
	}
}

func TestPullChoosesThePlatform(t *testing.T) {
	w, _ := guard(t, Options{Direct: true})
	var index v1.ImageIndex = empty.Index
	for _, p := range []v1.Platform{{OS: "plan9", Architecture: "mips"}, {OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}, {OS: "darwin", Architecture: "arm64"}} {
		image, err := mutate.Config(empty.Image, v1.Config{Env: []string{"PLATFORM=" + p.String()}})
		if err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: &p}})
	}
	tag, err := name.NewTag(w.host + "/many:v1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index); err != nil {
		t.Fatal(err)
	}
	image := w.pull(t, tag.String())
	defer image.Release()
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if image.Digest() != digest {
		t.Errorf("the image is %s, want what the tag stands for, %s", image.Digest(), digest)
	}
	if env := image.Config().Config.Env; !strings.HasPrefix(env[0], "PLATFORM="+runtime.GOOS) {
		t.Errorf("the image is for %s", env)
	}
}

// Many that want the same layers at the same time fetch each once.
func TestPullsShareTheWork(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	shared := layer(t, file("shared", 0o644, "shared"))
	var refs []string
	for _, n := range []string{"a", "b", "c"} {
		refs = append(refs, w.push(t, n, v1.Config{}, shared, layer(t, file(n, 0o644, n))))
	}
	// The layer comes when everybody has had time to ask for it.
	var waiting atomic.Int32
	asked := make(chan struct{})
	gate := func(r *http.Request) {
		if strings.Contains(r.URL.Path, digestOf(t, shared).Hex) && r.Method == http.MethodGet {
			if waiting.Add(1) == 1 {
				<-asked
			}
		}
	}
	g.gate.Store(&gate)
	var pulls sync.WaitGroup
	for range 5 {
		for _, ref := range refs {
			pulls.Go(func() {
				image, err := w.Pull(t.Context(), ref, false, nil)
				if err != nil {
					t.Error(err)
					return
				}
				image.Release()
			})
		}
	}
	eventually(t, "all images being asked for", func() bool {
		w.images.mu.Lock()
		defer w.images.mu.Unlock()
		n := 0
		for _, f := range w.images.flying {
			n += f.waiting
		}
		return n == 15
	})
	close(asked)
	pulls.Wait()
	if n := g.count("GET /v2/a/blobs/" + digestOf(t, shared).String()); n > 1 {
		t.Errorf("the layer was fetched %d times from a", n)
	}
	total := 0
	for _, n := range []string{"a", "b", "c"} {
		total += g.count("GET /v2/" + n + "/blobs/" + digestOf(t, shared).String())
	}
	if total != 1 {
		t.Errorf("the shared layer was fetched %d times, want 1", total)
	}
}

// Who gives up does not stop the others; when all have, the work stops.
func TestGivingUpAPull(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	ref := w.push(t, "app", v1.Config{}, layer(t, file("f", 0o644, "f")))
	stuck, ended := make(chan struct{}), make(chan struct{}, 2)
	gate := func(r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			select {
			case <-stuck:
			case <-r.Context().Done():
				ended <- struct{}{}
			}
		}
	}
	g.gate.Store(&gate)
	ctx, giveUp := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		_, err := w.Pull(ctx, ref, false, nil)
		result <- err
	}()
	eventually(t, "the blob being asked for", func() bool { return g.count("GET /v2/app/blobs/") > 0 })
	giveUp()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("giving up: %v", err)
	}
	<-ended
	close(stuck)
	w.pull(t, ref).Release()
	if left := entries(t, filepath.Join(w.dir, "runner/layers")); len(left) != 1 {
		t.Errorf("in layers are %v, want one", left)
	}
}

func entries(t testing.TB, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestLayersThatNobodyNeedsGo(t *testing.T) {
	w, g := guard(t, Options{Direct: true, Keep: 2 * 4096})
	common := layer(t, file("common", 0o644, "common"))
	var refs []string
	for _, n := range []string{"a", "b", "c", "d"} {
		refs = append(refs, w.push(t, n, v1.Config{}, common, layer(t, file(n, 0o644, n))))
	}
	held := w.pull(t, refs[0]) // its layers count for nothing: they are needed
	for _, ref := range refs[1:] {
		w.pull(t, ref).Release()
	}
	layers := filepath.Join(w.dir, "runner/layers")
	if n := len(entries(t, layers)); n != 4 {
		t.Errorf("%d layers are here, want the held image's two and two idle ones", n)
	}
	g.shut.Store(true)
	for i, here := range map[int]bool{0: true, 1: false, 2: true, 3: true} {
		image, err := w.Pull(t.Context(), refs[i], false, nil)
		if here != (err == nil) {
			t.Errorf("image %d: %v; want it here: %v", i, err, here)
		}
		if err == nil {
			image.Release()
		}
	}
	held.Release()
	held.Release() // a second one does nothing
	if n := len(entries(t, layers)); n != 2 {
		t.Errorf("%d layers are here, want two that are kept", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.open(t, Options{Direct: true, Keep: -1})
	for _, folder := range []string{"layers", "images"} {
		if left := slices.DeleteFunc(entries(t, filepath.Join(w.dir, "runner", folder)), func(n string) bool { return n == "tags" }); len(left) != 0 {
			t.Errorf("in %s are %v, want nothing", folder, left)
		}
	}
}

// A layer is there wholly or not at all.
func TestHalfLayersDoNotCount(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	content := layer(t, file("f", 0o644, strings.Repeat("f", 100_000)))
	ref := w.push(t, "app", v1.Config{}, content)
	hex := digestOf(t, content).Hex
	inner := g.Handler
	g.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, hex) {
			inner.ServeHTTP(rw, r)
			return
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		body[len(body)-1] ^= 1 // of the end, so that the files are all there before it is seen
		_, _ = rw.Write(body)
	})
	if _, err := w.Pull(t.Context(), ref, false, nil); err == nil {
		t.Fatal("a layer that is not what its digest says was taken")
	}
	if left := entries(t, filepath.Join(w.dir, "runner/layers")); len(left) != 0 {
		t.Errorf("in layers are %v, want nothing", left)
	}
	g.Handler = inner
	w.pull(t, ref).Release()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// What a killed Runner leaves: a layer on its way, one without its record.
	layers := filepath.Join(w.dir, "runner/layers")
	if err := os.MkdirAll(filepath.Join(layers, temporary+"1/fs/f"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(layers, hex, "layer.json")); err != nil {
		t.Fatal(err)
	}
	w.open(t, Options{Direct: true})
	if left := entries(t, layers); len(left) != 0 {
		t.Errorf("in layers are %v, want nothing", left)
	}
	w.pull(t, ref).Release()
}

// Layers come through, they are not collected in memory.
func TestPullOfABrokenConnection(t *testing.T) {
	w, g := guard(t, Options{Direct: true})
	content := layer(t, file("f", 0o644, strings.Repeat("x", 1000)))
	ref := w.push(t, "app", v1.Config{}, content)
	hex := digestOf(t, content).Hex
	inner := g.Handler
	g.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.URL.Path, hex) {
			inner.ServeHTTP(rw, r)
			return
		}
		rw.Header().Set("Content-Length", "100000")
		_, _ = io.WriteString(rw, "half")
		panic(http.ErrAbortHandler)
	})
	if _, err := w.Pull(t.Context(), ref, false, nil); err == nil {
		t.Error("half a layer was taken")
	}
}

func TestPullUncompressedLayers(t *testing.T) {
	w, _ := guard(t, Options{Direct: true})
	image := w.pull(t, w.push(t, "app", v1.Config{}, uncompressed(t, file("f", 0o644, "f"))))
	defer image.Release()
	content, err := w.store.view(image.record).read("f")
	if err != nil || string(content) != "f" {
		t.Errorf("%q, %v", content, err)
	}
}

// TestFind finds what was pulled, and asks nobody for anything.
func TestFind(t *testing.T) {
	w, g := guard(t, Options{Direct: true, Keep: -1})
	ref := w.push(t, "app:v1", v1.Config{}, layer(t, file("f", 0o644, "f")))
	g.asked = nil
	tag := w.host + "/app:v1"
	for _, name := range []string{ref, tag} {
		if _, err := w.Find(t.Context(), name); !errors.Is(err, ErrNotHere) {
			t.Errorf("%s: got %v before it was pulled", name, err)
		}
	}
	if g.count("/") != 0 {
		t.Errorf("the registry was asked for %v", g.asked)
	}
	pulled := w.pull(t, tag)
	g.shut.Store(true)
	for _, name := range []string{ref, tag} {
		found, err := w.Find(t.Context(), name)
		if err != nil || found.Digest() != pulled.Digest() || found.Ref() != name {
			t.Fatalf("%s: got %+v, %v", name, found, err)
		}
		defer found.Release()
	}
	pulled.Release()
	if _, err := w.Find(t.Context(), ref); err != nil {
		t.Errorf("what was found went with what was pulled: %v", err)
	}
	if _, err := w.Find(t.Context(), "no reference!"); err == nil || errors.Is(err, ErrNotHere) {
		t.Errorf("got %v for a reference that is none", err)
	}
}

func TestRegistriesOfThisMachineArePlain(t *testing.T) {
	for ref, want := range map[string]string{
		"localhost:5001/a": "http", "localhost/a/b:c": "http", "127.0.0.1:5001/a": "http", "127.7.8.9:1/a": "http", "[::1]:5001/a": "http",
		"example.com/a": "https", "a": "https",
	} {
		parsed, err := parse(ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Context().Scheme(); got != want {
			t.Errorf("%s: %s, want %s", ref, got, want)
		}
	}
}
