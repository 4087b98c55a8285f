package release

import (
	"strings"
	"testing"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
)

// TestTracing: spans go to Zipkin by the box's own door, while it is there.
func TestTracing(t *testing.T) {
	for want, parts := range map[string][]images.Role{
		"  backend: none\n": {images.Prometheus},
		"  zipkin-endpoint: http://127.0.0.1:40000/parts/zipkin/api/v2/spans\n": {images.Prometheus, images.Zipkin},
	} {
		box := &bootstrap.Box{Domain: "example.com", RegistryPort: 5001, MetricsPort: 40000, Observability: parts}
		r, err := Serving(box)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := helm.Render(r)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(manifest, want) || strings.Contains(manifest, "kind: Deployment") {
			t.Errorf("with %v there is no %s in\n%s", parts, want, manifest)
		}
	}
}
