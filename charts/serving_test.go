package charts_test

import (
	"bytes"
	"embed"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/lint/support"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/charts"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
	"github.com/kind-in-a-box/devbox/serving/config"
	"github.com/kind-in-a-box/devbox/serving/queue"
)

var update = flag.Bool("update", false, "write what is into the golden files")

// TestServingRenders shows what each kind of box installs. The kinds
// are left out: they are plain files, to be read where they lie.
func TestServingRenders(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"kind": {
			"image": "devbox.local/serving:1", "queueImage": "devbox.local/queue:1",
			"standbyProgram": "localhost:5001/devbox/queue@sha256:" + strings.Repeat("0", 64),
		},
		"embedded": {
			"image": "devbox.local/serving:1", "queueImage": "devbox.local/queue:1", "registryPort": 5055,
			"istio": map[string]any{"enabled": false}, "workloads": false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			golden(t, filepath.Join("testdata", name+".yaml"), render(t, values))
		})
	}
}

func TestServingRefusesValues(t *testing.T) {
	for field, values := range map[string]map[string]any{
		"registryPort":     {"registryPort": 70000},
		"progressDeadline": {"progressDeadline": "soon"},
		"domain":           {"domain": "not a domain"},
		"imgae":            {"imgae": "x"},
	} {
		_, err := install(t, values)
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("with %v: got error %v, want one that names %s", values, err, field)
		}
	}
}

// example is what the chart says in a ConfigMap for people to read, and nothing
// else is in one: what is there besides is theirs, and outlasts the chart.
func example(t *testing.T, name string) map[string]string {
	t.Helper()
	said := serving(t).Values["config"].(map[string]any)[name].(map[string]any)
	data := map[string]string{}
	if err := yaml.Unmarshal([]byte(said["_example"].(string)), &data); err != nil {
		t.Fatalf("config-%s: %v", name, err)
	}
	if len(said) != 1 {
		t.Errorf("config-%s has keys beside _example: %v", name, said)
	}
	return data
}

// TestExamples: an example says what holds without it.
func TestExamples(t *testing.T) {
	for name, parse := range map[string]func(map[string]string) (any, error){
		"autoscaler": func(d map[string]string) (any, error) { return autoscaler.ParseConfig(d) },
		"defaults":   func(d map[string]string) (any, error) { return config.ParseDefaults(d) },
		"devbox":     func(d map[string]string) (any, error) { return config.ParseStandby(d) },
		"gc":         func(d map[string]string) (any, error) { return config.ParseGC(d) },
		"deployment": func(d map[string]string) (any, error) { return config.ParseDeployment(d) },
		"features":   func(d map[string]string) (any, error) { return nil, config.ParseFeatures(d) },
		"network": func(d map[string]string) (any, error) {
			n, err := config.ParseNetwork(d)
			return []string{n.Domain.Root.String(), n.Tag.Root.String()}, err
		},
		// Also of what is written when all that is said is that something is.
		"observability": func(d map[string]string) (any, error) {
			d["logging.enable-request-log"] = "true"
			return queue.ParseRequestLog(d)
		},
	} {
		got, err := parse(example(t, name))
		if err != nil {
			t.Errorf("config-%s: %v", name, err)
		}
		want, err := parse(map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("config-%s: the example says %+v, and without it is %+v", name, got, want)
		}
	}
	if _, err := config.ParseDomains(example(t, "domain"), "example.com"); err != nil {
		t.Errorf("config-domain: %v", err)
	}
}

func TestServingLint(t *testing.T) {
	dir := t.TempDir()
	files, err := fs.Sub(charts.Serving, "serving")
	if err != nil {
		t.Fatal(err)
	}
	// Lint reads a folder of the chart's own name.
	dir = filepath.Join(dir, "serving")
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	lint := action.NewLint()
	lint.Strict = true
	result := lint.Run([]string{dir}, nil)
	for _, err := range result.Errors {
		t.Error(err)
	}
	for _, m := range result.Messages {
		if m.Severity > support.InfoSev {
			t.Error(m)
		}
	}
}

// render is the chart's objects with the given values, without the kinds.
func render(t *testing.T, values map[string]any) string {
	t.Helper()
	manifest, err := install(t, values)
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, doc := range strings.Split(manifest, "---\n") {
		if doc != "" && !strings.Contains(doc, "kind: CustomResourceDefinition") {
			kept = append(kept, doc)
		}
	}
	return strings.Join(kept, "---\n")
}

// install is helm template of the chart.
func install(t *testing.T, values map[string]any) (string, error) {
	t.Helper()
	return template(t, serving(t), "knative-serving", values)
}

func serving(t *testing.T) *chart.Chart {
	t.Helper()
	return load(t, charts.Serving, "serving")
}

// template is helm template: a release of the chart's name.
func template(t *testing.T, c *chart.Chart, namespace string, values map[string]any) (string, error) {
	t.Helper()
	do := action.NewInstall(&action.Configuration{Capabilities: chartutil.DefaultCapabilities.Copy()})
	do.DryRun, do.ClientOnly, do.Replace = true, true, true
	do.ReleaseName, do.Namespace = c.Name(), namespace
	do.KubeVersion = &chartutil.KubeVersion{Version: "v1.37.2", Major: "1", Minor: "37"}
	release, err := do.Run(c, values)
	if err != nil {
		return "", err
	}
	return release.Manifest, nil
}

// load reads the chart of a folder.
func load(t *testing.T, files embed.FS, folder string) *chart.Chart {
	t.Helper()
	var buffered []*loader.BufferedFile
	err := fs.WalkDir(files, folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := files.ReadFile(path)
		buffered = append(buffered, &loader.BufferedFile{Name: strings.TrimPrefix(path, folder+"/"), Data: data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	c, err := loader.LoadFiles(buffered)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal([]byte(got), want) {
		t.Errorf("%s differs (run with -update and look at the diff):\n%s", file, got)
	}
}
