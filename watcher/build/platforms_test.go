package build_test

import (
	"bytes"
	"debug/elf"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// TestForSeveralPlatforms: by one name each node gets the program that it runs,
// also after an edit.
func TestForSeveralPlatforms(t *testing.T) {
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	other := "arm64"
	if runtime.GOARCH == other {
		other = "amd64"
	}
	server := httptest.NewServer(registry.New(registry.Logger(silent)))
	defer server.Close()
	dir := tiny(t, hello)
	b := build.New(build.Options{Others: []string{other}, Again: true})
	defer b.Close()
	for _, word := range []string{"hello", "again"} {
		write(t, dir, "main.go", strings.Replace(hello, "hello", word, 1))
		img, err := b.Build(t.Context(), dir, "example.com/tiny")
		if err != nil {
			t.Fatal(err)
		}
		ref, err := push.User(strings.TrimPrefix(server.URL, "http://")+"/team").Image(t.Context(), "tiny", build.Variants(img)...)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		for arch, machine := range machines {
			back, err := remote.Image(parsed, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
			if err != nil {
				t.Fatal(err)
			}
			program := contents(t, back)["/ko-app/tiny"]
			file, err := elf.NewFile(bytes.NewReader(program))
			if err != nil {
				t.Fatalf("for %s: %v", arch, err)
			}
			if file.Machine != machine || !bytes.Contains(program, []byte(word)) {
				t.Errorf("for %s there is a program for %s, with %q in it: %t", arch, file.Machine, word, bytes.Contains(program, []byte(word)))
			}
		}
	}
}
