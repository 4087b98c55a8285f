// Package release is what the API server of an embedded box is told of the
// serving stack: by the box's process when it starts, and by `devbox up` when
// the box gets or loses what watches it.
package release

import (
	"fmt"
	"io/fs"
	"slices"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	"github.com/kind-in-a-box/devbox/bootstrap/images"
	"github.com/kind-in-a-box/devbox/charts"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Serving is the release of the serving stack's kinds and settings.
func Serving(box *bootstrap.Box) (helm.Release, error) {
	files, err := fs.Sub(charts.Serving, "serving")
	if err != nil {
		return helm.Release{}, err
	}
	return helm.Release{
		Name: "serving", Namespace: servingv1.Namespace, Chart: files,
		Values: map[string]any{
			"domain": box.Domain, "registryPort": box.RegistryPort, "tracing": tracing(box),
			"workloads": false, "istio": map[string]any{"enabled": false},
		},
	}, nil
}

// tracing is the box's config-tracing. One person's requests are few, and each
// is worth a look: all are traced. Zipkin's pod may have another address
// tomorrow, so spans go through a door of the box's process.
func tracing(box *bootstrap.Box) map[string]any {
	if !slices.Contains(box.Observability, images.Zipkin) {
		return map[string]any{"backend": "none"}
	}
	return map[string]any{
		"backend":         "zipkin",
		"zipkin-endpoint": fmt.Sprintf("http://127.0.0.1:%d/parts/%s/api/v2/spans", box.MetricsPort, images.Zipkin),
		"sample-rate":     "1",
	}
}
