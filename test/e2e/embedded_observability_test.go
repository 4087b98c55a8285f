//go:build e2e

package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestObservabilityEmbedded is TestObservability where Prometheus and Zipkin are
// processes: they answer at the box's own port, and outlive its process.
func TestObservabilityEmbedded(t *testing.T) {
	layout := os.Getenv("DEVBOX_IMAGES")
	if layout == "" {
		t.Skip("DEVBOX_IMAGES names no directory with the images of Prometheus and Zipkin; `make e2e` builds one and sets it")
	}
	b := box.Embedded(t, "devbox-watched-here")
	dir := box.Project(t, "hello")
	w := &watched{Box: b, dir: dir, main: filepath.Join(dir, "main.go"), uncounted: true,
		jobs: map[string]int{"serving": 1, "queue-proxy": 2, "prometheus": 1, "zipkin": 1},
		hops: []hop{{"activator", "activator"}, {"activator", "activator_proxy"}, {"hello", "kn.queueproxy.proxy"}},
	}
	w.up = b.Up("--port", "18081", "--with", "observability", "--images", layout, dir)
	for _, story := range []struct {
		name string
		tell func(*testing.T)
	}{
		{"up and status say where it is", w.addresses},
		{"a cold request is one trace", w.coldTrace},
		{"every panel has data", w.panels},
		{"every target is up", w.targets},
		{"it is there again after the box's process was killed", w.killed},
		{"it can be taken away", w.without},
		{"its name leads nowhere then", w.nowhere},
	} {
		if !t.Run(story.name, story.tell) {
			t.FailNow()
		}
	}
}

// killed: the box remembers, without being told again.
func (w *watched) killed(t *testing.T) {
	w.Stop()
	w.up.Exit(soon)
	w.up = w.Up(w.dir)
	w.addresses(t)
	var names []string
	box.Eventually(t, "Zipkin has heard of a request again", func() bool {
		if status, body, err := w.Get(host, "/"); err != nil || status != http.StatusOK {
			t.Fatalf("GET: %d %q %v", status, body, err)
		}
		w.ask(t, "zipkin", "/api/v2/services", &names)
		return len(names) > 0
	})
	w.targets(t)
}

func (w *watched) nowhere(t *testing.T) {
	status, body, err := w.Get("zipkin.localhost:18081", "/")
	if err != nil || status != http.StatusNotFound || !strings.Contains(body, "--with observability") {
		t.Errorf("GET: %d %q %v; want a word about what to do", status, body, err)
	}
}

// TestObservabilityInstead has no images to be had: the box comes up, and a
// sentence says what there is.
func TestObservabilityInstead(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1") // nobody is there
	b := box.Embedded(t, "devbox-unwatched")
	dir := box.Project(t, "hello")
	up := b.Up("--port", "18081", "--with", "observability", dir)
	e := up.Wait("a word about observability", soon, func(e event.Event) bool { return e.Kind == event.Warning })
	if !strings.Contains(e.Message, "prometheus") || !strings.Contains(e.Hint, "devbox ui") {
		t.Errorf("the warning says %q, %q; want what is missing and `devbox ui`", e.Message, e.Hint)
	}
	up.Wait("the first revision", soon, live)
}
