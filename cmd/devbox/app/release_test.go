package app

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

// TestRegistryThatRefuses: what is in its way is said, and what to do.
func TestRegistryThatRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		err         error
		cause, next string
	}{
		"401":          {&transport.Error{StatusCode: http.StatusUnauthorized}, "does not know you (401)", "docker login registry.example.com"},
		"403":          {&transport.Error{StatusCode: http.StatusForbidden}, "does not let you push", "another --registry"},
		"404":          {&transport.Error{StatusCode: http.StatusNotFound}, "has no repository team", "make it there"},
		"plain HTTP":   {errors.New("http: server gave HTTP response to HTTPS client"), "speaks plain HTTP", "--insecure-registry"},
		"it is away":   {errors.New("dial tcp: connection refused"), "pushing to registry.example.com/team: dial tcp: connection refused", ""},
		"it is silent": {&push.RefusedError{Reason: "no answer in 10s", Hint: "look whether its name is right"}, "no answer in 10s", "look whether its name is right"},
		"it is tired":  {&transport.Error{StatusCode: http.StatusBadGateway}, "registry.example.com fails (502 Bad Gateway)", "try again later"},
	} {
		err := (&devbox{name: "devbox"}).ofRelease(t.Context(), &build.PushError{Registry: "registry.example.com/team", Err: c.err})
		if p, ok := errors.AsType[*problem](err); !ok || p.code != codeFailure || !strings.Contains(err.Error(), c.cause) || !strings.Contains(p.next, c.next) {
			t.Errorf("%s: %v, next %q; want %q, %q", name, err, next(err), c.cause, c.next)
		}
	}
}

// TestReleasesAreWritten to stdout, a file, or a folder.
func TestReleasesAreWritten(t *testing.T) {
	releases := []watcher.Release{{Name: "a", Manifests: []byte("a: 1\n")}, {Name: "b", Manifests: []byte("b: 1\n")}}
	var out bytes.Buffer
	d := &devbox{stdout: &out}
	dir := t.TempDir()
	for _, to := range []string{"-", filepath.Join(dir, "all.yaml"), dir} {
		if err := d.writeReleases(releases, to); err != nil {
			t.Fatal(err)
		}
	}
	const both = "a: 1\n---\nb: 1\n"
	got := map[string]string{"stdout": strings.Split(out.String(), dir)[0]}
	for _, name := range []string{"all.yaml", "a.yaml", "b.yaml"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		got[name] = string(data)
	}
	for name, want := range map[string]string{"stdout": both, "all.yaml": both, "a.yaml": "a: 1\n", "b.yaml": "b: 1\n"} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
}
