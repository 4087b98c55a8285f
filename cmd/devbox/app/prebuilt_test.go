package app

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// places are where an image may lie: what --image says, and what the service
// is called then.
func places(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	tagged, err := name.NewTag(host + "/team/hello_there:v3")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tagged, image); err != nil {
		t.Fatal(err)
	}
	archive := filepath.Join(t.TempDir(), "hello.tar")
	if err := tarball.WriteToFile(archive, tagged, image); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "layout")
	if _, err := layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: image})); err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		tagged.Name(): "hello-there",
		tagged.Context().Digest(digest.String()).Name(): "hello-there",
		archive: "hello",
		dir:     "layout",
	}
}

func TestPrebuilt(t *testing.T) {
	image, err := random.Image(100, 2)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := image.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	for ref, called := range places(t, image) {
		targets, err := prebuilt(t.Context(), ref)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		target := targets[0]
		if found, err := target.Image.ConfigName(); err != nil || found != wanted {
			t.Errorf("%s: found %s, %v, want %s", ref, found, err, wanted)
		}
		if target.Name != called || target.Service.Name != called {
			t.Errorf("%s: the service is %s, want %s", ref, target.Name, called)
		}
	}
}

func TestPrebuiltRefused(t *testing.T) {
	several, err := random.Index(100, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if _, err := layout.Write(dir, several); err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{
		"./nowhere.tar:":    "no such file",
		"./nowhere":         "no such file",
		"nowhere.tar":       "no such file",
		t.TempDir():         "no OCI layout",
		dir:                 "several images",
		"prebuilt_test.go":  "prebuilt_test.go",
		"127.0.0.1:1/hello": "connection refused",
	} {
		if _, err := prebuilt(t.Context(), ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", ref, err, want)
		}
	}
}
