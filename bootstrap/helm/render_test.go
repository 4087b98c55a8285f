package helm

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/charts/istio"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestIstioAsRendered holds what `helm template` makes of Istio's charts with
// our values against testdata: in full what the values shape, by name what is
// Istio's own, such as its kinds, its rights and the templates of its sidecar.
func TestIstioAsRendered(t *testing.T) {
	for set, options := range map[string]istio.Options{
		"released": {Pilot: "docker.io/istio/pilot:1.31.1", Proxy: "docker.io/istio/proxyv2:1.31.1"},
		"upstream": {Pilot: "devbox.local/istio/pilot:1.31.0-0123456789ab", Proxy: "devbox.local/istio/proxyv2:1.31.0-ba9876543210", UpstreamEnvoy: true},
	} {
		charts, err := istio.Charts(options)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range charts {
			if set == "released" && c.Release != istio.Istiod {
				continue // they are the same in both
			}
			t.Run(set+"/"+c.Release, func(t *testing.T) {
				got, err := Render(Release{Name: c.Release, Namespace: istio.Namespace, Chart: c.Files, Values: c.Values, Adjust: c.Adjust})
				if err != nil {
					t.Fatal(err)
				}
				golden(t, c.Release+"-"+set+".yaml", digest(t, got))
			})
		}
	}
}

// digest is the objects of a manifest, those of Istio's own by name alone.
func digest(t *testing.T, manifest string) string {
	t.Helper()
	var b strings.Builder
	for documents := yamlstream.NewYAMLReader(bufio.NewReader(strings.NewReader(manifest))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return b.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		var object struct {
			Kind     string
			Metadata struct{ Name string }
		}
		if err := yaml.Unmarshal(document, &object); err != nil {
			t.Fatal(err)
		}
		switch object.Kind + "/" + object.Metadata.Name {
		case "/":
		case "Deployment/istiod", "Service/istiod", "ConfigMap/istio",
			"Deployment/istio-ingressgateway", "Service/istio-ingressgateway":
			fmt.Fprintf(&b, "---\n%s", document)
		default:
			fmt.Fprintf(&b, "--- # %s %s\n", object.Kind, object.Metadata.Name)
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("not as in %s (go test -update writes it anew)", path)
	}
}
