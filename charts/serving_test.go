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

	"github.com/kind-in-a-box/devbox/charts"
	"github.com/kind-in-a-box/devbox/serving/autoscaler"
	"github.com/kind-in-a-box/devbox/serving/queue"
)

var update = flag.Bool("update", false, "write what is into the golden files")

// TestServingRenders shows what each kind of box installs. The kinds
// are left out: they are plain files, to be read where they lie.
func TestServingRenders(t *testing.T) {
	for name, values := range map[string]map[string]any{
		"kind": {"image": "devbox.local/serving:1", "queueImage": "devbox.local/queue:1"},
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

// TestAutoscalerDefaults: the ConfigMap says what the autoscaler does without
// one.
func TestAutoscalerDefaults(t *testing.T) {
	data := map[string]string{}
	for key, value := range serving(t).Values["autoscaler"].(map[string]any) {
		data[key] = value.(string)
	}
	got, err := autoscaler.ParseConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if want := autoscaler.DefaultConfig(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestObservabilityDefaults: the same of the request log, also of what is
// written when all that is said is that something is.
func TestObservabilityDefaults(t *testing.T) {
	data := map[string]string{}
	for key, value := range serving(t).Values["observability"].(map[string]any) {
		data[key] = value.(string)
	}
	for _, enabled := range []string{data["logging.enable-request-log"], "true"} {
		data["logging.enable-request-log"] = enabled
		got, err := queue.ParseRequestLog(data)
		if err != nil {
			t.Fatal(err)
		}
		want, err := queue.ParseRequestLog(map[string]string{"logging.enable-request-log": enabled})
		if err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
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
