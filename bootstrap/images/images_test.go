package images

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

var refs = map[Role]string{
	Node:  "devbox.local/node:v1.37.2",
	Pilot: "devbox.local/istio/pilot:1.31.0",
	Proxy: "devbox.local/istio/proxyv2:1.31.0",

	Prometheus: "devbox.local/prometheus:bookworm",
	Zipkin:     "devbox.local/zipkin:3.5.1",
}

// lay writes a layout with images of the given roles, as the lab does.
func lay(t *testing.T, roles ...Role) (dir string, content map[Role]v1.Image) {
	t.Helper()
	dir, content = t.TempDir(), map[Role]v1.Image{}
	path, err := layout.Write(dir, mutate.Annotations(empty.Index, map[string]string{
		KubernetesKey: "v1.37.2", IstioKey: "1.31.0",
	}).(v1.ImageIndex))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range roles {
		img, err := random.Image(2000, 2, random.WithSource(source(r)))
		if err != nil {
			t.Fatal(err)
		}
		annotations := map[string]string{RefKey: refs[r], RoleKey: string(r)}
		switch r {
		case Node:
			annotations[CNIKey] = "builtin"
		case Proxy:
			annotations[EnvoyKey] = "upstream"
		}
		if err := path.AppendImage(img, layout.WithAnnotations(annotations)); err != nil {
			t.Fatal(err)
		}
		content[r] = img
	}
	return dir, content
}

func TestCompleteLayout(t *testing.T) {
	dir, content := lay(t, Node, Pilot, Proxy)
	set, err := FromLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if set.Layout != dir || set.Kubernetes != "v1.37.2" || set.Istio != "1.31.0" || !set.UpstreamEnvoy || !set.BuiltinCNI {
		t.Errorf("got %+v", set)
	}
	for role, img := range content {
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := set.Ref(role), refs[role]+"-"+digest.Hex[:12]; got != want {
			t.Errorf("%s: got %s, want %s", role, got, want)
		}
		opened, err := set.Open(role)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Image(opened); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}

// TestOptional: a layout may lack what watches a box; what it has counts, and
// is had by a box that was recorded before it was there.
func TestOptional(t *testing.T) {
	dir, _ := lay(t, Node, Pilot, Proxy, Prometheus, Zipkin)
	set, err := FromLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := set.Roles(), []Role{Node, Pilot, Proxy, Prometheus, Zipkin}; !slices.Equal(got, want) {
		t.Errorf("the layout has %v, want %v", got, want)
	}
	older := set
	older.Images = map[Role]Image{Node: {Ref: "kept"}, Pilot: set.Images[Pilot], Proxy: set.Images[Proxy]}
	complete, err := older.Complete()
	if err != nil {
		t.Fatal(err)
	}
	if complete.Ref(Node) != "kept" || complete.Ref(Zipkin) != set.Ref(Zipkin) || complete.Ref(Grafana) != "" || older.Ref(Zipkin) != "" {
		t.Errorf("completed it is %v, from %v", complete.Images, older.Images)
	}
	older.Layout = filepath.Join(dir, "gone")
	if _, err := older.Complete(); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("of a layout that is gone: %v", err)
	}
	older.Layout = ""
	if complete, err := older.Complete(); err != nil || complete.Ref(Grafana) == "" || complete.Ref(Node) != "kept" {
		t.Errorf("from the registries: %v, %v", complete.Images, err)
	}
}

func TestIncompleteLayouts(t *testing.T) {
	layerOf := func(dir string, img v1.Image) string {
		manifest, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, "blobs", "sha256", manifest.Layers[0].Digest.Hex)
	}
	for name, c := range map[string]struct {
		dir  func(t *testing.T) string
		want string
	}{
		"no directory":    {func(t *testing.T) string { return filepath.Join(t.TempDir(), "none") }, "it does not exist"},
		"empty directory": {func(t *testing.T) string { return t.TempDir() }, "it has no index.json"},
		"no proxy":        {func(t *testing.T) string { dir, _ := lay(t, Node, Pilot); return dir }, "it has no image of role istio-proxy"},
		"index cut off": {func(t *testing.T) string {
			dir, _ := lay(t, Node, Pilot, Proxy)
			overwrite(t, filepath.Join(dir, "index.json"), `{"schemaVersion": 2, "mani`)
			return dir
		}, "reading its index"},
		"no manifest": {func(t *testing.T) string {
			dir, content := lay(t, Node, Pilot, Proxy)
			digest, err := content[Node].Digest()
			if err != nil {
				t.Fatal(err)
			}
			remove(t, filepath.Join(dir, "blobs", "sha256", digest.Hex))
			return dir
		}, "is missing or damaged"},
		"no layer": {func(t *testing.T) string {
			dir, content := lay(t, Node, Pilot, Proxy)
			remove(t, layerOf(dir, content[Pilot]))
			return dir
		}, "istio-pilot (devbox.local/istio/pilot:1.31.0-"},
		"half a layer": {func(t *testing.T) string {
			dir, content := lay(t, Node, Pilot, Proxy)
			overwrite(t, layerOf(dir, content[Proxy]), "half")
			return dir
		}, "has 4 bytes of"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := c.dir(t)
			_, err := FromLayout(dir)
			if _, ok := errors.AsType[*LayoutError](err); !ok || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("got %v, want a LayoutError of %s with %q", err, dir, c.want)
			}
		})
	}
}

// node is a containerd that keeps what is imported as a layout in a folder.
type node struct{ dir string }

func (n node) Exec(_ context.Context, stdin io.Reader, _ io.Writer, command ...string) error {
	if got := strings.Join(command, " "); got != "ctr --namespace=k8s.io images import --local -" {
		return errors.New("unknown command " + got)
	}
	for archive := tar.NewReader(stdin); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		file := filepath.Join(n.dir, h.Name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		data, err := io.ReadAll(archive)
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			return err
		}
	}
}

func TestImport(t *testing.T) {
	for _, mediaType := range []types.MediaType{types.OCIManifestSchema1, types.DockerManifestSchema2} {
		img, err := random.Image(5000, 3)
		if err != nil {
			t.Fatal(err)
		}
		img = mutate.MediaType(img, mediaType)
		n := node{t.TempDir()}
		if err := Import(context.Background(), n, "devbox.local/queue:abc", img); err != nil {
			t.Fatal(err)
		}
		index, err := layout.ImageIndexFromPath(n.dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate.Index(index); err != nil {
			t.Error(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			t.Fatal(err)
		}
		digest, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		if m := manifest.Manifests[0]; m.Digest != digest || m.Annotations[nameKey] != "devbox.local/queue:abc" {
			t.Errorf("got %+v", m)
		}
	}
}

// full is a node whose disk is full.
type full struct{}

var errFull = errors.New("no space left on device")

func (full) Exec(_ context.Context, stdin io.Reader, _ io.Writer, _ ...string) error {
	if _, err := io.CopyN(io.Discard, stdin, 600); err != nil {
		return err
	}
	return errFull
}

func TestImportSaysWhyTheNodeTookNoMore(t *testing.T) {
	img, err := random.Image(1<<20, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := Import(context.Background(), full{}, "devbox.local/queue:abc", img); !errors.Is(err, errFull) {
		t.Errorf("got %v, want %v", err, errFull)
	}
}

func TestProvideBringsNothingTwice(t *testing.T) {
	dir, _ := lay(t, Node, Pilot, Proxy)
	set, err := FromLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	present := map[string]bool{set.Ref(Pilot): true}
	for role, want := range map[Role]bool{Pilot: false, Proxy: true} {
		brought, err := set.Provide(context.Background(), node{t.TempDir()}, role, present)
		if err != nil || brought != want {
			t.Errorf("%s: got %v, %v, want %v", role, brought, err, want)
		}
	}
}

func TestReachable(t *testing.T) {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	defer refuses.Close()
	answering := strings.TrimPrefix(refuses.URL, "http://")
	mute := closedPort(t)
	ctx := context.Background()

	if err := Reachable(ctx, http.DefaultTransport, answering+"/a:1", answering+"/b:2"); err != nil {
		t.Errorf("a registry that refuses strangers: %v", err)
	}
	err := Reachable(ctx, http.DefaultTransport, answering+"/a:1", mute+"/b:2")
	unreachable, ok := errors.AsType[*UnreachableError](err)
	if !ok || len(unreachable.Registries) != 1 || unreachable.Registries[0] != mute {
		t.Errorf("got %v, want an UnreachableError that names %s alone", err, mute)
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
