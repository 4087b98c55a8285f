package push

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// login is a docker configuration with a password for a registry.
func login(t *testing.T, host, user, password string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	if err := os.WriteFile(filepath.Join(dir, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth), 0o600); err != nil {
		t.Fatal(err)
	}
}

// private is a registry that alice, with her password, may push to alice/ of.
func private(t *testing.T) (host string) {
	t.Helper()
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != "alice" || password != "secret":
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write([]byte(`{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`))
		case r.URL.Path != "/v2/" && !strings.HasPrefix(r.URL.Path, "/v2/alice/"):
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"not yours"}]}`))
		default:
			images.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// TestPrivateRegistry: whoever has logged in as docker does pushes, and nobody else.
func TestPrivateRegistry(t *testing.T) {
	host := private(t)
	img, err := random.Image(64, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	unknown := func() {
		t.Helper()
		refuses(t, host+"/alice", img, "docker login "+host, "it says UNAUTHORIZED: authentication required", host+" does not know you (401)")
	}
	unknown()
	login(t, host, "alice", "guess")
	unknown()

	login(t, host, "alice", "secret")
	refuses(t, host+"/bob", img, "another --registry", "it says DENIED: not yours", host+" knows you, and does not let you push to bob/hello (403)")
	mine := User(host + "/alice")
	if err := mine.Check(t.Context(), "hello"); err != nil {
		t.Errorf("Check = %v", err)
	}
	ref, err := mine.Image(t.Context(), "hello", img)
	if err != nil {
		t.Fatal(err)
	}
	by, err := name.NewDigest(ref)
	if err != nil {
		t.Fatal(err)
	}
	there, err := remote.Image(by, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	if err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := there.Digest(); err != nil || got != want {
		t.Errorf("there is %s, error %v; want %s", got, err, want)
	}
}

// refuses expects a question and a push to be refused with the same words, and
// the question with the registry's own: a push begins with HEAD, which has none.
func refuses(t *testing.T, prefix string, img v1.Image, hint, said, words string) {
	t.Helper()
	r := User(prefix)
	asking := r.Check(t.Context(), "hello")
	if asking == nil || !strings.Contains(asking.Error(), said) {
		t.Errorf("asking: %v, want %q", asking, said)
	}
	_, pushing := r.Image(t.Context(), "hello", img)
	for did, err := range map[string]error{"asking": asking, "pushing": pushing} {
		refused, ok := errors.AsType[*RefusedError](err)
		if !ok {
			t.Errorf("%s: %v, want a RefusedError", did, err)
			continue
		}
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v, want %q", did, err, words)
		}
		if !strings.Contains(refused.Hint, hint) {
			t.Errorf("%s: the hint is %q, want %q", did, refused.Hint, hint)
		}
	}
}

// TestRegistryThatAnswersOtherwise: what it said is said, and what to do.
func TestRegistryThatAnswersOtherwise(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	ofUploads := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(code)
			}
		}
	}
	for name, c := range map[string]struct {
		registry    http.Handler
		words, hint string
	}{
		"no such repository": {ofUploads(http.StatusNotFound), "has no repository team/hello", "make it there"},
		"no registry at all": {http.NotFoundHandler(), "is no container registry: it has no /v2/ (404)", "--registry HOST/PATH"},
		"it is tired":        {ofUploads(http.StatusInternalServerError), "fails (500 Internal Server Error)", "try again later"},
		"it fails at once": {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }),
			"fails (502 Bad Gateway)", "try again later"},
		"it is asked too often": {ofUploads(http.StatusTooManyRequests), "takes no more requests for now (429)", "wait"},
		"it only gives":         {ofUploads(http.StatusMethodNotAllowed), "takes no image for team/hello (405 Method Not Allowed)", "a --registry that takes images"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.registry)
			defer server.Close()
			host := strings.TrimPrefix(server.URL, "http://")
			asked(t, User(host+"/team").Check(t.Context(), "hello"), host+" "+c.words, c.hint)
		})
	}
}

func asked(t *testing.T, err error, words, hint string) {
	t.Helper()
	refused, ok := errors.AsType[*RefusedError](err)
	if !ok || !strings.Contains(refused.Reason, words) || !strings.Contains(refused.Hint, hint) {
		t.Errorf("%+v, want %q and %q", err, words, hint)
	}
}

// TestRegistryThatIsAway, by its name, its certificate, or its own doing midway.
func TestRegistryThatIsAway(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	img, err := random.Image(64, 2)
	if err != nil {
		t.Fatal(err)
	}
	var server *httptest.Server
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server = httptest.NewServer(images)
	host := strings.TrimPrefix(server.URL, "http://")
	if err := User(host).Check(t.Context(), "hello"); err != nil {
		t.Fatal(err)
	}
	server.Close() // between the question and the push
	_, err = User(host).Image(t.Context(), "hello", img)
	asked(t, err, host+" does not answer: dial tcp", "look whether it runs")
	if _, err = Box(host).Image(t.Context(), "hello", img); err == nil || is[*RefusedError](err) {
		t.Errorf("of a box's own registry: %v, want an error that is no refusal", err)
	}

	secure := httptest.NewTLSServer(images)
	defer secure.Close()
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	unsigned := User(strings.TrimPrefix(secure.URL, "https://"))
	asked(t, unsigned.Check(t.Context(), "hello"), "has a certificate that this machine does not trust", "SSL_CERT_FILE")
	unsigned.Insecure = true
	if err := unsigned.Check(t.Context(), "hello"); err != nil {
		t.Errorf("of whoever trusts it unseen: %v", err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := User(host).Image(ctx, "hello", img); !errors.Is(err, context.Canceled) || is[*RefusedError](err) {
		t.Errorf("of a push that was cut: %v, want that it was", err)
	}
}

// TestRegistryThatSaysNothing takes the connection, and that is all.
func TestRegistryThatSaysNothing(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	before := remote.DefaultTransport
	t.Cleanup(func() { remote.DefaultTransport = before })
	remote.DefaultTransport = roundTripper(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	synctest.Test(t, func(t *testing.T) {
		asked(t, User("registry.example.com/alice").Check(t.Context(), "hello"),
			"asking registry registry.example.com/alice whether you may push: no answer in 10s", "in reach")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("interrupted"))
		defer cancel()
		if err := User("registry.example.com/alice").Check(ctx, "hello"); err == nil || is[*RefusedError](err) || !strings.HasSuffix(err.Error(), ": interrupted") {
			t.Errorf("of a question that was cut: %v, want that it was", err)
		}
	})
}

// TestCredentialsThatCannotBeRead: a helper that the configuration names is missing.
func TestCredentialsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"nowhere"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	asked(t, User("127.0.0.1:1/alice").Check(t.Context(), "hello"), "your credentials for 127.0.0.1:1 cannot be read", "config.json")
	asked(t, User("https://ghcr.io/alice").Check(t.Context(), "hello"), "is no registry", "HOST/PATH")
}

// TestPlainRegistry: at an address that is not of a private network it is refused.
func TestPlainRegistry(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	said := fmt.Errorf("Get %q: http: server gave HTTP response to HTTPS client", "https://registry.example.com/v2/")
	asked(t, Refusal("registry.example.com/alice", said), "registry.example.com speaks plain HTTP", "certificate")
}
