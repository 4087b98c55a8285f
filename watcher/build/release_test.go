package build_test

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/kind-in-a-box/devbox/watcher/build"
)

// basedRegistry is a registry with a base image for two platforms, which is
// everybody's.
func basedRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(silent)))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(64, 1)
		if err != nil {
			t.Fatal(err)
		}
		platform := &v1.Platform{OS: "linux", Architecture: arch}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		config.OS, config.Architecture, config.Config.User = platform.OS, arch, "65532"
		if img, err = mutate.ConfigFile(img, config); err != nil {
			t.Fatal(err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	ref, err := name.ParseReference(host + "/base")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(ref, index); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KO_DEFAULTBASEIMAGE", host+"/base")
	return host
}

func release(t *testing.T, o build.ReleaseOptions, dir string) string {
	t.Helper()
	r, err := build.NewReleaser(o)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := r.Release(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// TestReleaseTwice: one source in two places is one image, with a bill of
// materials beside it.
func TestReleaseTwice(t *testing.T) {
	host := basedRegistry(t)
	t.Setenv("GOOS", "") // which a Builder of another test has set
	one := release(t, build.ReleaseOptions{Registry: host + "/team"}, tiny(t, hello))
	other := release(t, build.ReleaseOptions{Registry: host + "/team", Tags: []string{"v1", "v2"}}, tiny(t, hello))
	if one != other || !strings.HasPrefix(one, host+"/team/tiny-") {
		t.Errorf("two releases are %s and %s", one, other)
	}
	repository, digest, _ := strings.Cut(one, "@")
	for _, tag := range []string{"latest", "v1", "v2", strings.Replace(digest, ":", "-", 1) + ".sbom"} {
		ref, err := name.ParseReference(repository + ":" + tag)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := remote.Head(ref); err != nil {
			t.Errorf("the tag %s: %v", tag, err)
		}
	}
}

func TestReleaseForPlatforms(t *testing.T) {
	host := basedRegistry(t)
	ref, err := name.ParseReference(release(t, build.ReleaseOptions{Registry: host, Platforms: []string{"linux/amd64", "linux/arm64"}}, tiny(t, hello)))
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, m := range manifest.Manifests {
		platforms = append(platforms, m.Platform.String())
	}
	if want := []string{"linux/amd64", "linux/arm64"}; !slices.Equal(platforms, want) {
		t.Errorf("the image is for %v, want %v", platforms, want)
	}
}

// TestLoopsImageAndKos differ in what docs/cli.md says, and in nothing else.
func TestLoopsImageAndKos(t *testing.T) {
	host := basedRegistry(t)
	dir := tiny(t, hello)
	write(t, dir, "kodata/greeting.txt", "good day")
	write(t, dir, ".env", "PASSWORD=secret\n")
	ref, err := name.ParseReference(release(t, build.ReleaseOptions{Registry: host, Platforms: []string{"linux/" + runtime.GOARCH}}, dir))
	if err != nil {
		t.Fatal(err)
	}
	kos, err := remote.Image(ref)
	if err != nil {
		t.Fatal(err)
	}
	loops, err := build.New(build.Options{}).Build(t.Context(), dir, "example.com/tiny")
	if err != nil {
		t.Fatal(err)
	}
	config := func(img v1.Image) v1.Config {
		file, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		return file.Config
	}
	if diff := cmp.Diff(config(kos), config(loops), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the configurations differ (-ko +loop):\n%s", diff)
	}
	const program = "/ko-app/tiny"
	ofKo, ofLoop := contents(t, kos), contents(t, loops)
	settings := func(files map[string][]byte) map[string]string {
		info, err := buildinfo.Read(bytes.NewReader(files[program]))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, s := range info.Settings {
			all[s.Key] = s.Value
		}
		return all
	}
	differ := map[string][2]string{}
	one, other := settings(ofKo), settings(ofLoop)
	for _, keys := range []map[string]string{one, other} {
		for key := range keys {
			if one[key] != other[key] {
				differ[key] = [2]string{one[key], other[key]}
			}
		}
	}
	// -trimpath leaves -ldflags out of what a program says of itself.
	want := map[string][2]string{"-trimpath": {"true", ""}, "-ldflags": {"", "-s -w -buildid="}}
	if diff := cmp.Diff(want, differ); diff != "" {
		t.Errorf("the programs differ in more, or less, than is documented (-want +got):\n%s", diff)
	}
	delete(ofKo, program)
	delete(ofLoop, program)
	if diff := cmp.Diff(ofKo, ofLoop); diff != "" {
		t.Errorf("the files beside the program differ (-ko +loop):\n%s", diff)
	}
	for path := range ofKo {
		if strings.Contains(path, ".env") {
			t.Errorf("%s is in the image", path)
		}
	}
	manual, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	for key := range want {
		if !strings.Contains(string(manual), "`"+key+"`") {
			t.Errorf("docs/cli.md does not speak of %s", key)
		}
	}
}

// TestReleaseThatDoesNotCompile has the compiler's words.
func TestReleaseThatDoesNotCompile(t *testing.T) {
	host := basedRegistry(t)
	dir := tiny(t, "package main\n\nfunc main() { println(nowhere) }\n")
	r, err := build.NewReleaser(build.ReleaseOptions{Registry: host, WorkDir: filepath.Dir(dir)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Release(t.Context(), dir, "example.com/tiny")
	if wrong, ok := errors.AsType[*build.CompileError](err); !ok || !strings.Contains(wrong.Output, "main.go:3:23: undefined: nowhere") {
		t.Errorf("%v", err)
	}
}

// TestRegistryRefuses: the registry's own answer is in the error, before the
// compiler's.
func TestRegistryRefuses(t *testing.T) {
	basedRegistry(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" { // which asks whether it is one
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"errors":[{"code":"DENIED","message":"no"}]}`)
		}
	}))
	defer server.Close()
	r, err := build.NewReleaser(build.ReleaseOptions{Registry: strings.TrimPrefix(server.URL, "http://") + "/team"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Release(t.Context(), tiny(t, "package main\n\nfunc main() { println(nowhere) }\n"), "example.com/tiny")
	_, pushing := errors.AsType[*build.PushError](err)
	if answer, ok := errors.AsType[*transport.Error](err); !pushing || !ok || answer.StatusCode != http.StatusForbidden {
		t.Errorf("%v", err)
	}
	if _, err := build.NewReleaser(build.ReleaseOptions{Registry: "Not A Registry"}); err == nil {
		t.Error("a registry of no possible name is taken")
	}
}
