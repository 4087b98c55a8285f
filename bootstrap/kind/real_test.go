//go:build e2e

package kind

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/kind/cluster"
	"github.com/kind-in-a-box/devbox/internal/event"
)

// real is the configuration of a box made from the layout in DEVBOX_IMAGES,
// in a home of its own; it is taken down when the test ends.
func real(t *testing.T, name string) bootstrap.Config {
	t.Helper()
	dir := os.Getenv("DEVBOX_IMAGES")
	if dir == "" {
		t.Fatal("DEVBOX_IMAGES is not set; `make lab` prints the layout")
	}
	home(t)
	before := ask(t, "network", "ls", "--quiet", "--filter", "name=^kind$")
	start := time.Now()
	tell := func(e event.Event) {
		t.Logf("%6.2f %-13s %-9s %s%s", time.Since(start).Seconds(), e.Kind, e.Step, e.Message, e.Error)
	}
	t.Cleanup(func() {
		if err := only.Down(context.Background(), name, tell); err != nil {
			t.Error(err)
		}
		if left := ask(t, "ps", "--all", "--quiet", "--filter", "name="+name+"-control-plane"); left != "" {
			t.Errorf("container left behind: %s", left)
		}
		if left := ask(t, "network", "ls", "--quiet", "--filter", "name=^kind$"); left != before {
			t.Errorf("network kind was %q and is %q", before, left)
		}
	})
	return bootstrap.Config{Name: name, Port: 18080, ImagesDir: dir, Events: tell}
}

// TestInterruptedEverywhere cuts Up off at each of its phases in turn, going
// on from what the one before left, and then lets it finish.
func TestInterruptedEverywhere(t *testing.T) {
	cfg := real(t, "devbox-cut")
	for _, at := range []string{"Preparing nodes", "Starting control-plane", "installing Istio's kinds", "waiting for istiod", "waiting for istio-ingressgateway"} {
		ctx, cancel := context.WithCancel(t.Context())
		var cut time.Time
		config := cfg
		config.Events = func(e event.Event) {
			cfg.Events(e)
			if e.Kind == event.StepProgress && e.Message == at {
				cut = time.Now()
				cancel()
			}
		}
		_, err := only.Up(ctx, config)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("cut off at %q: got %v", at, err)
		}
		if took := time.Since(cut); took > 10*time.Second {
			t.Errorf("cut off at %q: returned after %s", at, took)
		}
	}
	box, err := only.Up(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := only.Load(box.Name); err != nil {
		t.Error(err)
	}
}

// TestRepairs brings a box up again that was stopped, one whose creation was
// killed, and one that lost its kubeconfig, and leaves a cluster alone that
// devbox did not make.
func TestRepairs(t *testing.T) {
	cfg := real(t, "devbox-repair")
	up := func(why string) *bootstrap.Box {
		t.Helper()
		start := time.Now()
		box, err := only.Up(t.Context(), cfg)
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		t.Logf("%s: %s", why, time.Since(start))
		return box
	}
	box := up("new")
	if other := up("again"); other.APIPort != box.APIPort {
		t.Error("the cluster was made anew")
	}
	ask(t, "stop", "devbox-repair-control-plane")
	if other := up("stopped"); other.APIPort != box.APIPort {
		t.Error("the cluster was made anew")
	}
	if err := os.Remove(box.Kubeconfig); err != nil {
		t.Fatal(err)
	}
	up("without kubeconfig")

	box.Complete = false // as it is while a cluster is created
	if err := box.Save(); err != nil {
		t.Fatal(err)
	}
	up("half-created")

	box.APIPort++ // no longer the ports of what we made
	if err := box.Save(); err != nil {
		t.Fatal(err)
	}
	if _, err := only.Up(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "did not make") {
		t.Errorf("a cluster of somebody else: got %v", err)
	}
	if state, err := cluster.New(box.Name).State(t.Context(), nil); err != nil || state != cluster.Foreign {
		t.Errorf("it was touched: %v, %v", state, err)
	}
	ask(t, "rm", "--force", "--volumes", "devbox-repair-control-plane")
}

// ask runs docker and returns what it printed.
func ask(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("docker", args...).CombinedOutput()
	if err != nil {
		t.Errorf("docker %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}
