package registry

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/kind-in-a-box/devbox/test/documented"
)

// serve is the registry over root, until the test or the returned function
// stops it.
func serve(t *testing.T, root string, keep int) (host string, stop func()) {
	t.Helper()
	h, err := open(root, keep, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), server.Close
}

func parse(t *testing.T, ref string) name.Reference {
	t.Helper()
	r, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func image(t *testing.T) v1.Image {
	t.Helper()
	img, err := random.Image(2048, 2)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func digest(t *testing.T, d interface{ Digest() (v1.Hash, error) }) v1.Hash {
	t.Helper()
	h, err := d.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func push(t *testing.T, ref string, img v1.Image) {
	t.Helper()
	if err := remote.Write(parse(t, ref), img); err != nil {
		t.Fatalf("pushing %s: %v", ref, err)
	}
}

func TestWhatIsPushedSurvivesARestart(t *testing.T) {
	root := t.TempDir()
	host, stop := serve(t, root, DefaultKeep)
	img := image(t)
	push(t, host+"/default/hello:latest", img)
	index, err := random.Index(512, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(parse(t, host+"/some/index:v1"), index); err != nil {
		t.Fatal(err)
	}
	stop()

	host, _ = serve(t, root, DefaultKeep)
	for _, ref := range []string{host + "/default/hello:latest", host + "/default/hello@" + digest(t, img).String()} {
		back, err := remote.Image(parse(t, ref))
		if err != nil {
			t.Fatalf("pulling %s: %v", ref, err)
		}
		if err := validate.Image(back); err != nil {
			t.Errorf("%s does not hold together: %v", ref, err)
		}
	}
	back, err := remote.Index(parse(t, host+"/some/index:v1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(back); err != nil {
		t.Errorf("the index does not hold together: %v", err)
	}
	repository, err := name.NewRepository(host+"/default/hello", name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if tags, err := remote.List(repository); err != nil || len(tags) != 1 || tags[0] != "latest" {
		t.Errorf("tags = %v, %v", tags, err)
	}
}

// TestWhoIsToldOfAnImage can pull it by what he is told.
func TestWhoIsToldOfAnImage(t *testing.T) {
	h, err := open(t.TempDir(), DefaultKeep, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.requests.counted(h))
	defer server.Close()
	defer h.pushes.close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+PushesPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	host, told := strings.TrimPrefix(server.URL, "http://"), bufio.NewScanner(res.Body)
	for range 2 {
		img := image(t)
		push(t, host+"/default/hello:latest", img)
		if !told.Scan() {
			t.Fatalf("told of nothing: %v", told.Err())
		}
		if want := "default/hello@" + digest(t, img).String(); told.Text() != want {
			t.Errorf("told of %s, want %s", told.Text(), want)
		}
		if _, err := remote.Image(parse(t, host+"/"+told.Text())); err != nil {
			t.Error(err)
		}
	}
	h.pushes.close()
	if told.Scan() {
		t.Errorf("told of %s too", told.Text())
	}
}

func TestATagMoves(t *testing.T) {
	root := t.TempDir()
	host, stop := serve(t, root, DefaultKeep)
	first, second := image(t), image(t)
	push(t, host+"/hello:latest", first)
	push(t, host+"/hello:latest", second)
	for range 2 {
		d, err := remote.Head(parse(t, host+"/hello:latest"))
		if err != nil {
			t.Fatal(err)
		}
		if d.Digest != digest(t, second) {
			t.Errorf("latest is %s, want %s", d.Digest, digest(t, second))
		}
		stop()
		host, stop = serve(t, root, DefaultKeep)
	}
	if err := remote.Delete(parse(t, host+"/hello:latest")); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Head(parse(t, host+"/hello:latest")); err == nil {
		t.Error("a deleted tag is still there")
	}
}

func TestOldImagesGo(t *testing.T) {
	root := t.TempDir()
	host, _ := serve(t, root, 3)
	base := image(t)
	var images []v1.Image
	for range 5 {
		top, err := random.Layer(1024, "application/vnd.oci.image.layer.v1.tar")
		if err != nil {
			t.Fatal(err)
		}
		img, err := mutate.AppendLayers(base, top)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, img)
		push(t, host+"/hello@"+digest(t, img).String(), img)
		makeOld(t, root)
	}
	push(t, host+"/other:v1", image(t))
	for i, img := range images {
		_, err := remote.Image(parse(t, host+"/hello@"+digest(t, img).String()))
		if gone := err != nil; gone != (i < 2) {
			t.Errorf("image %d: %v", i, err)
		}
	}
	for i, img := range images {
		layers, err := img.Layers()
		if err != nil {
			t.Fatal(err)
		}
		for j, l := range layers {
			_, err := os.Stat(filepath.Join(root, "blobs", "sha256", digest(t, l).Hex))
			if want := i < 2 && j == 2; os.IsNotExist(err) != want {
				t.Errorf("layer %d of image %d: %v", j, i, err)
			}
		}
	}
}

// makeOld takes the blobs beyond the time in which they count as new.
func makeOld(t *testing.T, root string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-2 * grace)
	for _, f := range files {
		if err := os.Chtimes(f, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnIndexKeepsItsImages(t *testing.T) {
	rec := func(hex string, parts ...string) *record {
		r := &record{digest: v1.Hash{Algorithm: "sha256", Hex: hex}}
		for _, p := range parts {
			r.manifests = append(r.manifests, v1.Hash{Algorithm: "sha256", Hex: p})
		}
		return r
	}
	recs := []*record{rec("a"), rec("b"), rec("index1", "a", "b"), rec("c"), rec("index2", "b", "c"), rec("d")}
	var got []string
	for _, r := range surplus(recs, 2) {
		got = append(got, r.digest.Hex)
	}
	if fmt.Sprint(got) != "[a index1]" {
		t.Errorf("gone: %v, want a and index1: b is in index2 too", got)
	}
}

func TestHalfAnImageIsRefused(t *testing.T) {
	root := t.TempDir()
	host, stop := serve(t, root, DefaultKeep)
	img := image(t)
	raw, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	put := func(url string, body []byte) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/vnd.docker.distribution.manifest.v2+json")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if got := put("http://"+host+"/v2/hello/manifests/latest", raw); got != http.StatusNotFound {
		t.Errorf("a manifest without its blobs: %d, want 404", got)
	}
	if got := put("http://"+host+"/v2/hello/manifests/sha256:"+strings.Repeat("0", 64), raw); got != http.StatusBadRequest {
		t.Errorf("a manifest under another digest: %d, want 400", got)
	}
	if got := put("http://"+host+"/v2/hello/manifests/latest", []byte("{")); got != http.StatusBadRequest {
		t.Errorf("no manifest at all: %d, want 400", got)
	}

	// A crash may leave a blob cut short: the image goes, and can be pushed again.
	push(t, host+"/hello:latest", img)
	stop()
	layers, _ := img.Layers()
	if err := os.Truncate(filepath.Join(root, "blobs", "sha256", digest(t, layers[0]).Hex), 7); err != nil {
		t.Fatal(err)
	}
	makeOld(t, root)
	host, _ = serve(t, root, DefaultKeep)
	if _, err := remote.Head(parse(t, host+"/hello:latest")); err == nil {
		t.Error("an image with a broken layer is still offered")
	}
	push(t, host+"/hello:latest", img)
	back, err := remote.Image(parse(t, host+"/hello:latest"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back); err != nil {
		t.Error(err)
	}
}

func TestUploads(t *testing.T) {
	host, _ := serve(t, t.TempDir(), DefaultKeep)
	const hello = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
	do := func(method, path, span, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if span != "" {
			r.Header.Set("Content-Range", span)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp
	}
	begin := func() string { return do("POST", "/v2/a/b/blobs/uploads/", "", "").Header.Get("Location") }
	chunked, wrong := begin(), begin()
	for _, step := range []struct {
		what, method, path, span, body string
		want                           int
	}{
		{"absent", "HEAD", "/v2/a/b/blobs/" + hello, "", "", 404},
		{"first chunk", "PATCH", chunked, "0-1", "he", 202},
		{"gap", "PATCH", chunked, "3-4", "lo", 416},
		{"second chunk", "PATCH", chunked, "2-3", "ll", 202},
		{"last with the digest", "PUT", chunked + "?digest=" + hello, "", "o", 201},
		{"ended", "PATCH", chunked, "", "x", 404},
		{"present", "HEAD", "/v2/a/b/blobs/" + hello, "", "", 200},
		{"mount from anywhere", "POST", "/v2/c/blobs/uploads/?mount=" + hello + "&from=a/b", "", "", 201},
		{"all at once", "POST", "/v2/a/b/blobs/uploads/?digest=" + hello, "", "hello", 201},
		{"another content", "PUT", wrong + "?digest=" + hello, "", "hallo", 400},
		{"another content left no upload", "PUT", wrong + "?digest=" + hello, "", "hello", 404},
		{"cancelled", "DELETE", begin(), "", "", 204},
		{"no digest", "PUT", begin(), "", "hello", 400},
		{"bad name", "POST", "/v2/UPPER/blobs/uploads/", "", "", 405},
		{"up and away", "PUT", "/v2/a/../../manifests/latest", "", "{}", 405},
	} {
		if got := do(step.method, step.path, step.span, step.body).StatusCode; got != step.want {
			t.Errorf("%s: %d, want %d", step.what, got, step.want)
		}
	}
}

func TestRunServesHealthAndLeaves(t *testing.T) {
	free := func() string {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().String()
	}
	cfg := Config{Address: free(), HealthAddress: free(), Root: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, cfg) }()
	for _, url := range []string{"http://" + cfg.HealthAddress + "/readyz", "http://" + cfg.Address + "/v2/"} {
		for ok := false; !ok; {
			resp, err := http.Get(url) //nolint:noctx // a probe
			if err == nil {
				ok = resp.StatusCode == http.StatusOK
				_ = resp.Body.Close()
			}
			if t.Context().Err() != nil {
				t.Fatal("never served")
			}
		}
	}
	for _, method := range []string{"BREW", "BREW-MORE"} { // names of clients' own make no series
		req, err := http.NewRequestWithContext(ctx, method, "http://"+cfg.Address+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	resp, err := http.Get("http://" + cfg.HealthAddress + "/metrics") //nolint:noctx // as above
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"devbox_registry_blobs 0", `devbox_registry_requests_total{method="GET",response_code_class="2xx"} 1`,
		`devbox_registry_requests_total{method="other",response_code_class="4xx"} 2`,
	} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	documented.Check(t, "registry", string(text))
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
}
