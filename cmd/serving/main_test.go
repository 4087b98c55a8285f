package main

import (
	"io"
	"strings"
	"testing"
)

func TestMirrors(t *testing.T) {
	mirrors, err := parseMirrors([]string{"localhost:5001=http://registry.knative-serving.svc.cluster.local:5001"})
	if err != nil {
		t.Fatal(err)
	}
	if got := mirrors["localhost:5001"].Host; got != "registry.knative-serving.svc.cluster.local:5001" {
		t.Errorf("localhost:5001 is found at %s", got)
	}
	for _, wrong := range []string{"localhost:5001", "=http://x", "localhost:5001=registry:5001", "localhost:5001=%"} {
		if _, err := parseMirrors([]string{wrong}); err == nil || !strings.Contains(err.Error(), "--registry") {
			t.Errorf("%q: got %v, want an error that names the flag", wrong, err)
		}
	}
}

// The chart passes these flags; a name that changes here has to change there.
func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"controller", "--queue-image=q", "--domain=d", "--gateway=", "--registry=a=http://b", "--progress-deadline=60s",
			"--drain-quiet-period=1s", "--stream-address=:8080", "--health-address=:8081", "--log-level=info", "--help"},
		{"activator", "--address=:8012", "--stream=http://controller:8080/stream", "--health-address=:8081", "--log-level=debug", "--help"},
		{"registry", "--address=:5001", "--root=/var/lib/registry", "--health-address=:5002", "--log-level=warn", "--help"},
	} {
		cmd := root(io.Discard)
		cmd.SetOut(io.Discard)
		cmd.SetArgs(args)
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
	cmd := root(io.Discard)
	cmd.SetArgs([]string{"controller"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "queue-image") {
		t.Errorf("a controller without queue-proxy's image: got %v", err)
	}
}
