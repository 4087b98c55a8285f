package runner

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/kind-in-a-box/devbox/test/imagetest"
)

// payload is the program in the images, built once. A test that runs again as
// another user is told where it is.
var payload = sync.OnceValues(func() ([]byte, error) {
	if file := os.Getenv("RUNNER_TEST_PAYLOAD"); file != "" {
		return os.ReadFile(file)
	}
	return imagetest.Program("./testdata/payload")
})

// The words of these tests for what is in an image.
var (
	file, dir, link, hardlink    = imagetest.File, imagetest.Dir, imagetest.Symlink, imagetest.Link
	archive, layer, uncompressed = imagetest.Archive, imagetest.Compressed, imagetest.Layer
)

type entry = imagetest.Entry

// program is the layer with the payload, as ko makes it.
func program(t testing.TB) v1.Layer {
	t.Helper()
	content, err := payload()
	if err != nil {
		t.Fatal(err)
	}
	return layer(t, dir("ko-app", 0o555), file("ko-app/payload", 0o555, string(content)))
}

// base is a layer such as small base images have.
func base(t testing.TB) v1.Layer {
	return layer(t,
		dir("./", 0o755), dir("etc/", 0o755), dir("tmp/", 0o777|0o1000), dir("home/nonroot/", 0o755),
		file("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n"),
		file("etc/group", 0o644, "root:x:0:\nnonroot:x:65532:\nlogs:x:7000:nonroot\n"),
		link("var/run", "/run"), dir("run", 0o755),
	)
}

// world is a registry and a Runner.
type world struct {
	*Runner
	host string
	dir  string
}

func newWorld(t testing.TB, o Options) *world {
	t.Helper()
	w := &world{host: imagetest.Registry(t), dir: t.TempDir()}
	w.open(t, o)
	return w
}

// open makes the Runner, also a second time.
func (w *world) open(t testing.TB, o Options) {
	t.Helper()
	r, err := New(filepath.Join(w.dir, "runner"), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	w.Runner = r
}

// push makes an image and returns its reference by digest.
func (w *world) push(t testing.TB, tag string, config v1.Config, layers ...v1.Layer) string {
	t.Helper()
	return imagetest.Push(t, w.host+"/"+tag, config, layers...)
}

func (w *world) pull(t testing.TB, ref string) *Image {
	t.Helper()
	image, err := w.Pull(t.Context(), ref, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// payloadImage is the payload on the base, pulled.
func (w *world) payloadImage(t testing.TB) *Image {
	t.Helper()
	return w.pull(t, w.push(t, "payload", v1.Config{
		Entrypoint: []string{"/ko-app/payload"}, User: "65532",
		Env: []string{"PATH=/bin:/ko-app", "KO_DATA_PATH=/var/run/ko"},
	}, base(t), layer(t, dir("var/run/ko", 0o555), file("var/run/ko/data", 0o444, "data\n")), program(t)))
}

// start runs the payload and returns its output, which is complete when the
// process is done.
func (w *world) start(t testing.TB, s Spec, args ...string) (*Process, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	p, err := w.Start(t.Context(), w.spec(t, s, &out, args...))
	if err != nil {
		t.Fatal(err)
	}
	return p, &out
}

func (w *world) spec(t testing.TB, s Spec, out io.Writer, args ...string) Spec {
	if s.Args == nil {
		s.Args = append([]string{"/ko-app/payload"}, args...)
	}
	if s.Name == "" {
		s.Name = t.Name()
	}
	if s.Dir == "" {
		s.Dir = filepath.Join(w.dir, "processes", strings.ReplaceAll(s.Name, "/", "_"))
	}
	if s.Stdout == nil {
		s.Stdout, s.Stderr = out, out
	}
	return s
}

// output runs the payload to its end.
func (w *world) output(t testing.TB, s Spec, args ...string) (string, Exit) {
	t.Helper()
	p, out := w.start(t, s, args...)
	await(t, p)
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	return out.String(), p.Exit()
}

func await(t testing.TB, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not end", p.name)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not come true", what)
		}
	}
}

// lines is a writer that shows the lines written to it.
type lines struct{ ch chan string }

func newLines() *lines { return &lines{make(chan string, 100)} }

func (l *lines) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		l.ch <- strings.TrimSpace(line)
	}
	return len(p), nil
}

func (l *lines) next(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case line := <-l.ch:
		return line
	case <-ctx.Done():
		t.Fatal("the process writes nothing")
		return ""
	}
}
