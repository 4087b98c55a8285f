package box

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/data"
	"github.com/kind-in-a-box/devbox/internal/push"
)

// newBox returns a Box whose registry is to listen at the listener's
// port.
func newBox(t *testing.T, listener net.Listener) *Box {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	e, err := New(Config{
		Name: "test", Dir: filepath.Join(t.TempDir(), "data"), Log: t.Output(),
		RegistryPort: listener.Addr().(*net.TCPAddr).Port,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", loopback(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// TestRegistry starts it, pushes to it and stops it.
func TestRegistry(t *testing.T) {
	listener := listen(t)
	e := newBox(t, listener)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := e.StartRegistry(t.Context()); err != nil {
		t.Fatal(err)
	}
	img, err := random.Image(1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := push.Box(listener.Addr().String()).Image(t.Context(), "some/image", img)
	if err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(pushed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := remote.Image(ref); err != nil {
		t.Errorf("getting what was pushed as %s: %v", pushed, err)
	}
	if err := e.Stop(); err != nil {
		t.Error(err)
	}
	if e.Err() != nil {
		t.Errorf("a registry that was stopped has failed: %v", e.Err())
	}
	again, err := net.Listen("tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("the port is not free after the end: %v", err)
	}
	_ = again.Close()
	if err := data.Remove(e.Dir); err != nil {
		t.Error(err)
	}
	for _, path := range []string{e.Dir, e.sockets} {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", path, err)
		}
	}
}

// TestPortInUse has another process at the registry's port: it answers, and
// is not the registry.
func TestPortInUse(t *testing.T) {
	listener := listen(t)
	e := newBox(t, listener)
	err := e.StartRegistry(t.Context())
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "starting the registry: ") ||
		!strings.Contains(err.Error(), listener.Addr().String()) || !strings.Contains(err.Error(), "`devbox up` again") {
		t.Errorf("got %v, want what is in use by whom it was wanted, and what to do", err)
	}
	if err := e.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// TestRegistryThatFails cannot read its files.
func TestRegistryThatFails(t *testing.T) {
	listener := listen(t)
	e := newBox(t, listener)
	if err := errors.Join(listener.Close(), os.WriteFile(filepath.Join(e.Dir, "registry"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	err := e.StartRegistry(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "running the registry: ") {
		t.Errorf("got %v", err)
	}
	<-e.Failed()
	if !errors.Is(e.Err(), err) {
		t.Errorf("it has failed because of %v, and its start of %v", e.Err(), err)
	}
	if err := e.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestNewNeedsItsDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Dir: file, Log: t.Output()}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}
