package build_test

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// tiny is a module that links in a moment.
func tiny(t testing.TB, main string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "go.mod", "module example.com/tiny\n\ngo 1.26\n")
	write(t, dir, "main.go", main)
	return dir
}

var silent = log.New(io.Discard, "", 0)

const hello = "package main\n\nvar word = \"hello\"\n\nfunc main() { println(word) }\n"

func TestImageFollowsKosConventions(t *testing.T) {
	dir := tiny(t, hello)
	write(t, dir, "kodata/greeting.txt", "good day")
	img, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Config.Entrypoint; !slices.Equal(got, []string{"/ko-app/tiny"}) {
		t.Errorf("entrypoint = %q", got)
	}
	if !slices.Contains(cfg.Config.Env, "KO_DATA_PATH=/var/run/ko") {
		t.Errorf("no KO_DATA_PATH in %q", cfg.Config.Env)
	}
	if cfg.Config.User != "65532:65532" {
		t.Errorf("runs as %q", cfg.Config.User)
	}
	files := contents(t, img)
	if got := string(files["/var/run/ko/greeting.txt"]); got != "good day" {
		t.Errorf("kodata file = %q", got)
	}
	if len(files["etc/ssl/certs/ca-certificates.crt"]) == 0 || len(files["etc/passwd"]) == 0 {
		t.Error("the base image lacks certificates or users")
	}
	if got := run(t, files["/ko-app/tiny"]); got != "hello\n" {
		t.Errorf("the binary says %q", got)
	}
}

func TestLayersTravelUncompressed(t *testing.T) {
	img, err := build.New(build.Options{}).Build(t.Context(), tiny(t, hello), "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for i, l := range layers {
		mt, _ := l.MediaType()
		digest, _ := l.Digest()
		diff, _ := l.DiffID()
		if mt != types.OCIUncompressedLayer || digest != diff {
			t.Errorf("layer %d is %s, digest %s, diff ID %s", i, mt, digest, diff)
		}
	}
}

func TestSameSourceSameImage(t *testing.T) {
	dir, b := tiny(t, hello), build.New(build.Options{})
	var digests []v1.Hash
	for range 2 {
		img, err := b.Build(t.Context(), dir, "example.com/tiny")
		if err != nil {
			t.Fatal(err)
		}
		d, err := img.Digest()
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, d)
	}
	if digests[0] != digests[1] {
		t.Errorf("two builds of one source differ: %v", digests)
	}
}

func TestCompileError(t *testing.T) {
	dir := tiny(t, "package main\n\nfunc main() { println(nowhere, wrong()) }\n")
	_, err := build.New(build.Options{WorkDir: filepath.Dir(dir)}).Build(t.Context(), dir, "example.com/tiny")
	var ce *build.CompileError
	if !errors.As(err, &ce) {
		t.Fatalf("error is %v, not a CompileError", err)
	}
	file := filepath.Join(filepath.Base(dir), "main.go")
	want := []build.Diagnostic{
		{File: file, Line: 3, Col: 23, Text: "undefined: nowhere"},
		{File: file, Line: 3, Col: 32, Text: "undefined: wrong"},
	}
	if !slices.Equal(ce.Diagnostics, want) {
		t.Errorf("diagnostics:\n%v\nwant\n%v", ce.Diagnostics, want)
	}
	if want := file + ":3:23: undefined: nowhere"; !strings.Contains(ce.Output, want) {
		t.Errorf("output lacks %q:\n%s", want, ce.Output)
	}
}

func TestKoYAMLIsHonoured(t *testing.T) {
	base := httptest.NewServer(registry.New(registry.Logger(silent)))
	defer base.Close()
	host := strings.TrimPrefix(base.URL, "http://")
	named, err := build.New(build.Options{}).Build(t.Context(), tiny(t, hello), "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	ref, err := push.Box(host).Image(t.Context(), "some/base", named)
	if err != nil {
		t.Fatal(err)
	}

	root := tiny(t, hello)
	write(t, root, "cmd/app/main.go", strings.Replace(hello, "hello", "unset", 1))
	write(t, root, ".ko.yaml", "defaultBaseImage: "+ref+"\nbuilds:\n- main: ./cmd/app\n  ldflags: [-X main.word=stamped]\n")
	img, err := build.New(build.Options{}).Build(t.Context(), filepath.Join(root, "cmd", "app"), "example.com/tiny/cmd/app")
	if err != nil {
		t.Fatal(err)
	}
	files := contents(t, img)
	if got := run(t, files["/ko-app/app"]); got != "stamped\n" {
		t.Errorf("the binary says %q: ldflags of .ko.yaml are lost", got)
	}
	if len(files["/ko-app/tiny"]) == 0 {
		t.Error("the image does not stand on the base image of .ko.yaml")
	}
}

func TestCancelledBuildLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir := tiny(t, hello)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("a newer edit"))
	_, err := build.New(build.Options{}).Build(ctx, dir, "example.com/tiny")
	if err == nil || !strings.Contains(err.Error(), "a newer edit") {
		t.Errorf("error = %v, want the cause", err)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestPushSendsOnlyWhatIsMissing(t *testing.T) {
	var uploads atomic.Int32
	inner := registry.New(registry.Logger(silent))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			uploads.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")

	dir, b := tiny(t, hello), build.New(build.Options{})
	push := func() string {
		t.Helper()
		img, err := b.Build(t.Context(), dir, "example.com/tiny")
		if err != nil {
			t.Fatal(err)
		}
		uploads.Store(0)
		ref, err := push.Box(host).Image(t.Context(), "tiny", img)
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	push()
	if n := uploads.Load(); n != 4 { // base, kodata, binary, configuration
		t.Errorf("first push sent %d blobs, want 4", n)
	}
	write(t, dir, "main.go", strings.Replace(hello, "hello", "again", 1))
	ref := push()
	if n := uploads.Load(); n != 2 { // binary, configuration
		t.Errorf("push after an edit sent %d blobs, want 2", n)
	}
	parsed, err := name.ParseReference(ref, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	back, err := remote.Image(parsed)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(back, validate.Fast); err != nil {
		t.Errorf("what came back does not hold together: %v", err)
	}
}

// contents are the regular files of an image.
func contents(t *testing.T, img v1.Image) map[string][]byte {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, l := range layers {
		rc, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		for r := tar.NewReader(rc); ; {
			h, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if files[h.Name], err = io.ReadAll(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	return files
}

func run(t *testing.T, binary []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path).CombinedOutput()
	if err != nil {
		t.Fatalf("running the binary: %v\n%s", err, out)
	}
	return string(out)
}

// shellSettings are what people have set for their own builds.
func shellSettings(t *testing.T, settings map[string]string) {
	t.Helper()
	for name, value := range settings {
		t.Setenv(name, value)
	}
}

// TestOwnImagesIgnoreTheShell: an image of devbox's own is the same whatever a
// shell, `go env -w` and ko's variables say, and so is what it is kept by.
func TestOwnImagesIgnoreTheShell(t *testing.T) {
	dir := tiny(t, hello)
	made := func() (key string, img v1.Image) {
		t.Helper()
		b, err := build.NewOwn(t.Context(), dir, runtime.GOARCH)
		if err != nil {
			t.Fatal(err)
		}
		if key, err = b.Key(t.Context(), "example.com/tiny"); err != nil {
			t.Fatal(err)
		}
		if img, err = b.Build(t.Context(), "example.com/tiny"); err != nil {
			t.Fatal(err)
		}
		return key, img
	}
	key, img := made()
	if got := run(t, contents(t, img)["/ko-app/tiny"]); got != "hello\n" {
		t.Errorf("the binary says %q", got)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "go.env", "GOAMD64=v3\nGOARM64=v8.1\nGOFLAGS=-tags=written\n")
	shellSettings(t, map[string]string{
		"GOENV": filepath.Join(dir, "go.env"), "GOOS": "darwin", "GOARCH": "mips", "CGO_ENABLED": "1", "GOFLAGS": "-mod=vendor", "GOWORK": filepath.Join(dir, "no.work"),
		"GOEXPERIMENT": "arenas", "GOTOOLCHAIN": "go1.2.3", "KO_CONFIG_PATH": filepath.Join(dir, "ko.yaml"), "KO_DEFAULTBASEIMAGE": "registry.invalid/base",
	})
	key2, img2 := made()
	if got, err := img2.Digest(); err != nil || got != want || key2 != key {
		t.Errorf("image %s, kept by %s, %v; without the settings %s, %s", got, key2, err, want, key)
	}
	write(t, dir, "main.go", strings.Replace(hello, "hello", "good day", 1))
	if other, _ := made(); other == key {
		t.Error("another source is kept by the same key")
	}
}

// TestServicesAreForTheBox: a service is for this machine's box, whatever the
// shell's builds are for, and .ko.yaml has the last word.
func TestServicesAreForTheBox(t *testing.T) {
	dir := tiny(t, hello)
	shellSettings(t, map[string]string{"GOOS": "darwin", "GOARCH": "mips", "CGO_ENABLED": "1"}) // not even a pair
	img, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	if got := run(t, contents(t, img)["/ko-app/tiny"]); got != "hello\n" {
		t.Errorf("the binary says %q", got)
	}
	write(t, dir, ".ko.yaml", "defaultEnv: [GOARCH=mips64]\n")
	_, env, err := build.New(build.Options{}).ListFlags(dir, "example.com/tiny")
	if err != nil || env[len(env)-1] != "GOARCH=mips64" {
		t.Errorf("with a .ko.yaml the environment is %q, %v", env, err)
	}
}

// TestBaseImageOutOfReach names who asks for it.
func TestBaseImageOutOfReach(t *testing.T) {
	dir := tiny(t, hello)
	write(t, dir, ".ko.yaml", "defaultBaseImage: registry.invalid/written\n")
	for _, want := range []string{filepath.Join(dir, ".ko.yaml"), "the variable KO_DEFAULTBASEIMAGE"} {
		_, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
		var failed *build.ImageError
		if !errors.As(err, &failed) || !strings.Contains(err.Error(), ", which "+want+" names") {
			t.Errorf("got %v, want an ImageError that names %s", err, want)
		}
		t.Setenv("KO_DEFAULTBASEIMAGE", "registry.invalid/set")
	}
}
