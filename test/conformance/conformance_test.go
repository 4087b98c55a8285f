//go:build e2e

package conformance

import (
	"testing"

	"k8s.io/client-go/dynamic"

	"github.com/kind-in-a-box/devbox/test/box"
)

// TestConformance tries all behaviours on one box.
func TestConformance(t *testing.T) {
	b := box.New(t, "devbox-conformance")
	up := b.Up("--port", "18590", "--detach", box.Program(t, "program"))
	if code := up.Exit(soon); code != 0 {
		t.Fatalf("devbox up --detach: exit %d", code)
	}
	dyn, err := dynamic.NewForConfig(b.REST())
	if err != nil {
		t.Fatal(err)
	}
	s := &subject{box: b, dynamic: dyn, api: b.Serving(), kubernetes: b.Kubernetes(), image: b.Image("program")}
	t.Run("on one box", func(t *testing.T) { // returns when all have
		for _, behaviour := range behaviours {
			t.Run(behaviour.name, func(t *testing.T) {
				t.Parallel()
				behaviour.try(&trial{T: t, subject: s, name: behaviour.name})
			})
		}
	})
}
