package build

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ko "github.com/google/ko/pkg/build"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/kind-in-a-box/devbox/internal/goenv"
)

// ownBase names the base image made here in the annotations ko leaves on an
// image. It is in no registry.
const ownBase = "devbox.local/static"

// zoneFile is where Go programs in the base image find the time zones.
const zoneFile = "usr/share/zoneinfo.zip"

// bases finds base images and keeps them, so that a tag is resolved once and
// the layers below a binary stay what they are while a Builder lives.
type bases struct {
	waits func(sentence string)

	mu  sync.Mutex
	got map[string]ko.Result
}

// slow is how long a registry may take before somebody is told that a build
// waits for it.
const slow = 2 * time.Second

// get returns a base image.
func (b *bases) get(ctx context.Context, wanted baseImage, platform v1.Platform) (name.Reference, ko.Result, error) {
	named := cmp.Or(wanted.ref, ownBase)
	parsed, err := name.ParseReference(named)
	if err != nil {
		return nil, nil, fmt.Errorf("parsing base image %q: %w", named, err)
	}
	if img := b.keep(named, nil); img != nil {
		return parsed, img, nil
	}
	img, err := b.makeOrFetch(ctx, wanted, parsed, platform)
	if err != nil {
		return nil, nil, err
	}
	return parsed, b.keep(named, img), nil
}

// keep is the image that is kept under a name, which img becomes if there is
// none: several builds may have fetched it. Nothing is locked meanwhile, so
// that a registry which does not answer holds up nobody else.
func (b *bases) keep(named string, img ko.Result) ko.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.got == nil {
		b.got = map[string]ko.Result{}
	}
	if b.got[named] == nil && img != nil {
		b.got[named] = img
	}
	return b.got[named]
}

func (b *bases) makeOrFetch(ctx context.Context, wanted baseImage, parsed name.Reference, platform v1.Platform) (ko.Result, error) {
	if wanted.ref == "" {
		img, err := staticBase(platform, zoneinfo(ctx))
		if err != nil {
			return nil, fmt.Errorf("making the base image: %w", err)
		}
		return img, nil
	}
	// The image is kept after ctx, which is a build's, has ended, and its
	// layers are read only when they are pushed. But until it is there the end
	// of the build is the end of the fetch.
	fetch, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, cancel)()
	if b.waits != nil {
		defer time.AfterFunc(slow, func() {
			b.waits(fmt.Sprintf("waiting for the registry %s, which has the base image %s", parsed.Context().RegistryStr(), wanted.ref))
		}).Stop()
	}
	img, err := remote.Image(parsed, remote.WithContext(fetch),
		remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithPlatform(platform))
	if err != nil {
		return nil, fmt.Errorf("fetching base image %s, which %s names: %w", wanted.ref, wanted.by, err)
	}
	return img, nil
}

// zoneinfo is the time zone database of the Go toolchain, nil if it has none.
func zoneinfo(ctx context.Context) []byte {
	env, err := goenv.Own(ctx, runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return nil
	}
	cmd := goenv.Command(ctx, "env", "GOROOT")
	cmd.Env = append(os.Environ(), env...)
	root, err := goenv.Output(cmd)
	if err != nil {
		return nil
	}
	zip, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		return nil
	}
	return zip
}

// staticBase is the base image of every image whose .ko.yaml names no other:
// a user without rights, /tmp, the certificate authorities and the time
// zones, and nothing that runs.
func staticBase(platform v1.Platform, zones []byte) (v1.Image, error) {
	tarball, err := staticFiles(zones)
	if err != nil {
		return nil, err
	}
	img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err = mutate.Append(img, mutate.Addendum{
		Layer:   static.NewLayer(tarball, types.OCIUncompressedLayer),
		History: v1.History{Author: "devbox", CreatedBy: "devbox", Comment: "static base"},
	})
	if err != nil {
		return nil, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Variant = platform.OS, platform.Architecture, platform.Variant
	cfg.Config.User = "65532:65532"
	cfg.Config.Env = []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
		"ZONEINFO=/" + zoneFile,
	}
	return mutate.ConfigFile(img, cfg)
}

func staticFiles(zones []byte) ([]byte, error) {
	var certs bytes.Buffer
	for root := range bundle.Roots() {
		if err := pem.Encode(&certs, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, err
		}
	}
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range []struct {
		name    string
		mode    int64
		uid     int
		content string
	}{
		{"etc/", 0o755, 0, ""},
		{"etc/group", 0o644, 0, "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n"},
		{"etc/nsswitch.conf", 0o644, 0, "hosts: files dns\n"},
		{"etc/passwd", 0o644, 0, "root:x:0:0:root:/root:/sbin/nologin\n" +
			"nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" +
			"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n"},
		{"etc/ssl/", 0o755, 0, ""},
		{"etc/ssl/certs/", 0o755, 0, ""},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, certs.String()},
		{"home/", 0o755, 0, ""},
		{"home/nonroot/", 0o700, 65532, ""},
		{"root/", 0o700, 0, ""},
		{"tmp/", 0o1777, 0, ""},
		{"usr/", 0o755, 0, ""},
		{"usr/share/", 0o755, 0, ""},
		{zoneFile, 0o644, 0, string(zones)},
	} {
		h := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.uid, Gid: f.uid, Size: int64(len(f.content))}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(f.content)); err != nil {
			return nil, err
		}
	}
	return buf.Bytes(), w.Close()
}
