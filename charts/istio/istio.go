// Package istio holds Istio's three charts with the values of a box. The
// charts come from Istio's own module; the values, with their reasons, are in
// values/.
//
//	base (CRDs) , istiod  --istiod Ready-->  gateway
//
// The gateway must come last: its chart leaves the pod's image open, and
// istiod's webhook fills it in when the pod is made.
package istio

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"istio.io/istio/manifests"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Namespace is where Istio runs.
const Namespace = "istio-system"

// The names of Istio's releases. The Deployments of istiod and of the gateway
// bear the same names.
const (
	Base    = "istio-base"
	Istiod  = "istiod"
	Gateway = "istio-ingressgateway"
)

//go:embed values/*.yaml
var values embed.FS

// Options is what differs from box to box.
type Options struct {
	Pilot         string // reference of the image of istiod
	Proxy         string // reference of the image of the gateway and of sidecars
	UpstreamEnvoy bool   // Proxy carries plain Envoy, without Istio's extensions
}

// Chart is a chart with its values.
type Chart struct {
	Release string
	Files   fs.FS
	Values  map[string]any
	Adjust  func(object map[string]any) error // done to every object that the chart renders; may be nil
}

// Charts returns the three charts in the order in which they are installed.
func Charts(o Options) ([]Chart, error) {
	istiod := []string{"istiod.yaml", "sidecar.yaml"}
	if o.UpstreamEnvoy {
		istiod = append(istiod, "istiod-upstream-envoy.yaml")
	}
	charts := make([]Chart, 0, 3)
	for _, c := range []struct {
		release, dir string
		values       []string
	}{
		{Base, "charts/base", []string{"base.yaml"}},
		{Istiod, "charts/istio-control/istio-discovery", istiod},
		{Gateway, "charts/gateway", []string{"gateway.yaml"}},
	} {
		chart, err := load(c.release, c.dir, c.values)
		if err != nil {
			return nil, fmt.Errorf("reading chart %s: %w", c.release, err)
		}
		charts = append(charts, chart)
	}
	charts[1].Adjust = askOften
	merge(charts[1].Values, map[string]any{
		"image":  o.Pilot,
		"global": map[string]any{"proxy": map[string]any{"image": o.Proxy}, "proxy_init": map[string]any{"image": o.Proxy}},
	})
	return charts, nil
}

func load(release, dir string, names []string) (Chart, error) {
	files, err := fs.Sub(manifests.FS, dir)
	if err != nil {
		return Chart{}, err
	}
	all := map[string]any{}
	for _, n := range names {
		text, err := values.ReadFile("values/" + n)
		if err != nil {
			return Chart{}, err
		}
		var layer map[string]any
		if err := yaml.UnmarshalStrict(text, &layer); err != nil {
			return Chart{}, fmt.Errorf("%s: %w", n, err)
		}
		merge(all, layer)
	}
	return Chart{Release: release, Files: files, Values: all}, nil
}

// merge lays over upon under, map by map.
func merge(under, over map[string]any) {
	for k, v := range over {
		below, isMap := under[k].(map[string]any)
		if above, ok := v.(map[string]any); ok && isMap {
			merge(below, above)
			continue
		}
		under[k] = v
	}
}

// askOften makes kubelet ask istiod every second whether it is ready: the
// gateway waits for the answer, and the chart has no value for the three
// seconds that it writes.
func askOften(object map[string]any) error {
	if object["kind"] != "Deployment" {
		return nil
	}
	containers, _, err := unstructured.NestedSlice(object, "spec", "template", "spec", "containers")
	if err != nil {
		return fmt.Errorf("reading istiod's Deployment: %w", err)
	}
	if len(containers) != 1 {
		return fmt.Errorf("istiod's Deployment has %d containers, not one", len(containers))
	}
	probe, ok := containers[0].(map[string]any)["readinessProbe"].(map[string]any)
	if !ok {
		return errors.New("istiod's container has no readiness probe")
	}
	probe["initialDelaySeconds"], probe["periodSeconds"] = int64(0), int64(1)
	return unstructured.SetNestedSlice(object, containers, "spec", "template", "spec", "containers")
}
