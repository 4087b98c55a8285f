package app

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/internal/event"
)

// published puts a box's images into a registry that counts what is fetched.
func published(t *testing.T) (set images.Set, digests map[images.Role]v1.Hash, layers *int) {
	t.Helper()
	layers = new(int)
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			*layers++
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	set = images.Set{Istio: "1.31.1", Images: map[images.Role]images.Image{}}
	digests = map[images.Role]v1.Hash{}
	for role, repository := range map[images.Role]string{
		images.Node: "kindest/node:v1.37.2", images.Pilot: "istio/pilot:1.31.1", images.Proxy: "istio/proxyv2:1.31.1",
	} {
		img, err := random.Image(1000, 2)
		if err != nil {
			t.Fatal(err)
		}
		tag, err := name.NewTag(host + "/" + repository)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(tag, img); err != nil {
			t.Fatal(err)
		}
		if digests[role], err = img.Digest(); err != nil {
			t.Fatal(err)
		}
		set.Images[role] = images.Image{Ref: tag.Name()}
	}
	node := set.Images[images.Node]
	node.Ref += "@" + digests[images.Node].String() // as kind pins it
	set.Images[images.Node] = node
	return set, digests, layers
}

func TestPulledImagesMakeABox(t *testing.T) {
	set, digests, layers := published(t)
	dir := t.TempDir() + "/images"
	var told []string
	events := func(e event.Event) { told = append(told, string(e.Kind)+" "+e.Step) }

	if err := pullImages(t.Context(), set, images.Needed, dir, events); err != nil {
		t.Fatal(err)
	}
	got, err := images.FromLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	for role, digest := range digests {
		if got.Images[role].Digest != digest {
			t.Errorf("%s is %s, want %s", role, got.Images[role].Digest, digest)
		}
	}
	if got.Kubernetes != "v1.37.2" || got.Istio != "1.31.1" || got.UpstreamEnvoy || got.BuiltinCNI {
		t.Errorf("the layout says of itself: %+v", got)
	}
	want := []string{
		"step.started node", "step.done node",
		"step.started istio-pilot", "step.done istio-pilot",
		"step.started istio-proxy", "step.done istio-proxy",
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}

	fetched := *layers
	if err := pullImages(t.Context(), set, images.Needed, dir, nil); err != nil {
		t.Fatal(err)
	}
	if again := *layers - fetched; again > 0 {
		t.Errorf("a second pull fetches %d blobs that are there", again)
	}
	if twice, err := images.FromLayout(dir); err != nil || !cmp.Equal(got, twice) {
		t.Errorf("a second pull changes the layout: %v\n%s", err, cmp.Diff(got, twice))
	}
}

func TestPullSaysWhatItCannotFetch(t *testing.T) {
	set, _, _ := published(t)
	pilot := set.Images[images.Pilot]
	pilot.Ref = strings.Replace(pilot.Ref, "pilot", "nobody", 1)
	set.Images[images.Pilot] = pilot

	dir := t.TempDir()
	err := pullImages(t.Context(), set, images.Needed, dir, nil)
	if err == nil || !strings.Contains(err.Error(), pilot.Ref) {
		t.Errorf("pulling gives %v, want an error that names %s", err, pilot.Ref)
	}
	if _, err := images.FromLayout(dir); err == nil {
		t.Error("half a set passes for a whole one")
	}
}
