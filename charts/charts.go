// Package charts holds the Helm charts that devbox installs, embedded: data,
// and no logic.
//
//	serving         the serving stack: kinds, rights, controller, activator, registry
//	observability   Prometheus, Zipkin, Grafana with dashboards, the gateway's tracing
//
// Istio's charts come from Istio's own module; charts/istio has the values
// for them.
package charts

import (
	"embed"
	"fmt"
	"io/fs"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// Serving is the chart of the serving stack, rooted at the folder "serving".
//
//go:embed all:serving
var Serving embed.FS

// Observability is the chart of what watches a box, rooted at the folder
// "observability". Its dashboards are made from internal/panel.
//
//go:generate go run ./dashboards observability/dashboards
//go:generate go run ./knative ../docs/knative.md
//go:embed all:observability
var Observability embed.FS

// CRDs are the serving stack's kinds as the chart installs them. They
// are plain YAML under templates/crds: Helm upgrades what is a template and
// never what lies in crds/, and an API server without Helm, the embedded
// engine's or a test's, reads them from here. They outlive the release
// (helm.sh/resource-policy: keep), since with a kind go all its objects.
func CRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	files, err := fs.Glob(Serving, "serving/templates/crds/*.yaml")
	if err != nil {
		return nil, fmt.Errorf("listing the chart's kinds: %w", err)
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, file := range files {
		data, err := Serving.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a kind of the chart: %w", err)
		}
		crd := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, crd); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		crds = append(crds, crd)
	}
	return crds, nil
}
