//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerlog "sigs.k8s.io/controller-runtime/pkg/log"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/box"
)

// TestKill kills the box's process twenty times, each time somewhere between
// a save and the moment after its answer has come, while a client asks. After
// the next `devbox up` all must be as if it had not been.
func TestKill(t *testing.T) {
	random := seeded(t)
	b := box.Embedded(t, "devbox-kill")
	dir := box.Project(t, "hello")
	k := &killer{Box: b, dir: dir, main: filepath.Join(dir, "main.go"), word: "Hello"}
	k.start(t)
	k.up.Wait("the first revision", soon, live)
	const deadly = 2 * time.Second // a save is live before that
	for range 20 {
		k.round(t, time.Duration(random.Int64N(int64(deadly))), random.IntN(2) == 0)
	}
}

// TestKillOfStarts kills the box's process while it comes up, from nothing and
// from what the kills before have left.
func TestKillOfStarts(t *testing.T) {
	random := seeded(t)
	b := box.Embedded(t, "devbox-kill")
	dir := box.Project(t, "hello")
	k := &killer{Box: b, dir: dir, word: "Hello"}
	const deadly = 4 * time.Second // the service answers before that
	for range 10 {
		ctx, cancel := context.WithTimeoutCause(t.Context(), soon, fmt.Errorf("no end in %s", soon))
		cmd := b.Command(ctx, "up", "--detach", "--port", "18080", dir)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(random.Int64N(int64(deadly)))
		time.Sleep(after) // the moment of the kill is what is tried here
		known := k.Kill()
		err := cmd.Wait()
		t.Logf("killed after %s with %d processes: %v", after.Round(time.Millisecond), len(known), err)
		if ctx.Err() != nil {
			t.Errorf("devbox up: %v\n%s", context.Cause(ctx), said.String())
		}
		cancel()
		box.Eventually(t, "all that the box ran has ended", func() bool { return len(k.Alive(known)) == 0 })
	}
	k.start(t)
	k.up.Wait("the revision", soon, live)
	if status, body, err := k.Get(host, "/"); err != nil || body != "Hello World!" {
		t.Errorf("the answer is %d %q, error %v; want that of Hello", status, body, err)
	}
	k.whole(t)
}

// seeded chooses at random, and as before where DEVBOX_SEED says so.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("DEVBOX_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("DEVBOX_SEED: %v", err)
		}
	}
	t.Logf("DEVBOX_SEED=%d makes the same choices again", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// killer is what its rounds hand to each other.
type killer struct {
	*box.Box
	up    *box.Session
	dir   string
	main  string
	word  string // the one that was saved last
	edits int
}

func (k *killer) start(t *testing.T) {
	t.Helper()
	k.up = k.Up("--port", "18080", k.dir)
}

// round saves an edit, kills the box's process, and the session too where
// both is said, and brings the box up again.
func (k *killer) round(t *testing.T, after time.Duration, both bool) {
	t.Helper()
	before := k.word
	k.edits++
	k.word = fmt.Sprintf("Edit%02d", k.edits)
	poll := k.Poll(host, 10*time.Millisecond)
	box.Edit(t, k.main, `"`+before+" ", `"`+k.word+" ")
	time.Sleep(after) // the moment of the kill is what is tried here
	known := k.Kill()
	if both {
		k.up.Kill()
	} else {
		k.up.Interrupt()
	}
	requests, _, _ := poll.Stop()
	box.Eventually(t, "all that the box ran has ended", func() bool { return len(k.Alive(known)) == 0 })

	start := time.Now()
	k.start(t)
	ready := time.Since(start)
	status, body, err := k.Get(host, "/")
	if err != nil || body != before+" World!" && body != k.word+" World!" {
		t.Errorf("after a kill the first answer is %d %q, error %v; want that of %s or of %s", status, body, err, before, k.word)
	}
	k.up.Wait("the revision saved last", soon, live)
	if status, body, err := k.Get(host, "/"); err != nil || body != k.word+" World!" {
		t.Errorf("the answer is %d %q, error %v; want that of %s", status, body, err, k.word)
	}
	t.Logf("killed %s after a save (session too: %t), %d requests; box ready after %s, live after %s",
		after.Round(time.Millisecond), both, requests, ready.Round(time.Millisecond), time.Since(start).Round(time.Millisecond))
	box.Eventually(t, "no process belongs to nobody", func() bool { return len(k.Strays(k.PID(), k.up.PID())) == 0 })
	k.whole(t)
}

// whole looks at every object of the serving stack and every image that a
// Revision names.
func (k *killer) whole(t *testing.T) {
	t.Helper()
	api := serving(t, k.Box)
	var (
		services       servingv1.ServiceList
		configurations servingv1.ConfigurationList
		routes         servingv1.RouteList
		revisions      servingv1.RevisionList
	)
	for _, list := range []client.ObjectList{&services, &configurations, &routes, &revisions} {
		if err := api.List(t.Context(), list); err != nil {
			t.Fatalf("reading the objects: %v", err)
		}
	}
	if s, c, r := len(services.Items), len(configurations.Items), len(routes.Items); s != 1 || c != 1 || r != 1 {
		t.Fatalf("there are %d Services, %d Configurations and %d Routes; want one of each", s, c, r)
	}
	names := map[string]bool{}
	for _, r := range revisions.Items {
		names[r.Name] = true
		imageIsWhole(t, r.Spec.Containers[0].Image)
	}
	for _, target := range routes.Items[0].Status.Traffic {
		if !names[target.RevisionName] {
			t.Errorf("the Route sends traffic to %q, which is not among %v", target.RevisionName, names)
		}
	}
	if status := services.Items[0].Status; !names[status.LatestReadyRevisionName] || !names[status.LatestCreatedRevisionName] {
		t.Errorf("the Service names %s and %s, which are not both among %v", status.LatestReadyRevisionName, status.LatestCreatedRevisionName, names)
	}
}

// serving is a client of the box's API server for the kinds of serving.
func serving(t *testing.T, b *box.Box) client.Client {
	t.Helper()
	controllerlog.SetLogger(logr.Discard()) // it asks for one, and has nothing to say
	kinds := runtime.NewScheme()
	if err := servingv1.AddToScheme(kinds); err != nil {
		t.Fatal(err)
	}
	api, err := client.New(b.REST(), client.Options{Scheme: kinds})
	if err != nil {
		t.Fatal(err)
	}
	return api
}

// imageIsWhole reads an image to its last byte; what is not what its digest
// says is an error.
func imageIsWhole(t *testing.T, image string) {
	t.Helper()
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithContext(t.Context()))
	if err != nil {
		t.Errorf("image %s: %v", image, err)
		return
	}
	layers, err := img.Layers()
	if err != nil {
		t.Errorf("image %s: %v", image, err)
	}
	for _, layer := range layers {
		content, err := layer.Compressed()
		if err == nil {
			_, err = io.Copy(io.Discard, content)
			content.Close()
		}
		if err != nil {
			t.Errorf("a layer of image %s: %v", image, err)
		}
	}
}
