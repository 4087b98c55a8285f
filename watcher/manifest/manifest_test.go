package manifest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// directory makes a folder of files.
func directory(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// object is a manifest of three lines.
func object(version, kind, name string) string {
	return fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: %s}\n", version, kind, name)
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec:
      initContainers:
        - {name: migrate, image: "ko://example.com/migrate"}
      containers:
        - {name: web, image: "ko://example.com/web"}
        - {name: again, image: "ko://example.com/migrate"}
        - {name: db, image: "postgres:17"}
`

// TestRead says, for each file, what it is taken for: every line is one
// object, one file left out or one problem, with the folder's path cut off.
func TestRead(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"the order of kinds, and of files in one": {
			files: map[string]string{
				"a.yaml": object("serving.knative.dev/v1", "Service", "ours") + "---\n" + object("apps/v1", "Deployment", "web"),
				"b.yml":  object("v1", "ConfigMap", "b") + "---\n" + object("networking.istio.io/v1", "VirtualService", "way") + "---\n" + object("v1", "Service", "web"),
				"c.json": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}`,
				"d.yaml": object("v1", "Secret", "d") + "---\n" + object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "things.example.com"),
			},
			want: []string{
				"c.json:1 Namespace n", "d.yaml:5 CustomResourceDefinition things.example.com", "b.yml:1 ConfigMap b", "d.yaml:1 Secret d", "b.yml:9 Service web",
				"b.yml:5 VirtualService way", "a.yaml:5 Deployment web", "a.yaml:1 Service ours",
			},
		},
		"comments and empty documents are none": {
			files: map[string]string{"a.yaml": "# words\n---\n\n---\n# more\n" + object("v1", "ConfigMap", "a") + "---\n", "b.yaml": "# nothing\n"},
			want:  []string{"a.yaml:6 ConfigMap a", "b.yaml: it is empty"},
		},
		"a List is its items": {
			files: map[string]string{"a.yaml": "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n"},
			want:  []string{"a.yaml:4 ConfigMap a", "a.yaml:5 ConfigMap b"},
		},
		"JSON with tabs": {
			files: map[string]string{"a.json": "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\",\n\t\"metadata\": {\"name\": \"a\"}\n}\n"},
			want:  []string{"a.json:1 ConfigMap a"},
		},
		"names that are none": {
			files: map[string]string{".golangci.yaml": "version: 2\n", ".a.yaml.swp": "x", "a.yaml~": "x", "#a.yaml#": "x", "a.txt": "x"},
		},
		"what is not for a cluster": {
			files: map[string]string{
				"docker-compose.yaml": "services: {db: {image: postgres}}\n",
				"package.json":        `{"name": "web"}`,
				"hosts.yaml":          "- one\n- two\n",
				"skaffold.yaml":       "apiVersion: skaffold/v4beta11\nkind: Config\n",
				"kind.yaml":           "apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n",
				"Chart.yaml":          "apiVersion: v2\nname: web\n",
				"kubeconfig.yaml":     "apiVersion: v1\nkind: Config\n",
			},
			want: []string{
				"Chart.yaml: it is no Kubernetes object: it has no kind", "docker-compose.yaml: it is no Kubernetes object: it has no apiVersion and no kind",
				"hosts.yaml: it is no Kubernetes object: it has no apiVersion and no kind", "kind.yaml: it is for kind and not for a cluster",
				"kubeconfig.yaml: it is a kubeconfig", "package.json: it is no Kubernetes object: it has no apiVersion and no kind",
				"skaffold.yaml: it is for Skaffold and not for a cluster",
			},
		},
		"kustomize": {
			files: map[string]string{
				"kustomization.yaml": "resources: [web.yaml]\npatches: [{path: more.yaml}]\npatchesStrategicMerge: [less.yaml]\n",
				"web.yaml":           object("v1", "ConfigMap", "web"), "more.yaml": object("apps/v1", "Deployment", "web"), "less.yaml": object("apps/v1", "Deployment", "other"),
			},
			want: []string{
				"web.yaml:1 ConfigMap web",
				"kustomization.yaml: it is kustomize's, which devbox does not run; the files beside it are applied as they are",
				"less.yaml: it is a patch of the kustomization beside it", "more.yaml: it is a patch of the kustomization beside it",
			},
		},
		"templates": {
			files: map[string]string{
				"helm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\n",
				"loop.yaml": "{{- range .Values.all }}\napiVersion: v1\n{{- end }}\n",
				"text.yaml": object("v1", "ConfigMap", "text") + "data: {page: \"{{ .Title }}\"}\n",
			},
			want: []string{
				"text.yaml:1 ConfigMap text", "helm.yaml: it is a template, which devbox does not fill in", "loop.yaml: it is a template, which devbox does not fill in",
			},
		},
		"mistakes do not hide what is beside them": {
			files: map[string]string{
				"a.yaml": object("v1", "ConfigMap", "one") + "---\napiVersion: v1\nkind: [\n---\n" + object("v1", "ConfigMap", "three"),
				"b.yaml": object("v1", "ConfigMap", "b") + "data: {}\ndata: {}\n",
				"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: c-}\n",
				"d.yaml": "apiVersion: v1\nkind: ConfigMap\n",
				"e.yaml": "apiVersion: a/b/c\nkind: Thing\nmetadata: {name: e}\n",
				"f.yaml": "not: [yaml\n",
			},
			want: []string{
				"a.yaml:1 ConfigMap one", "a.yaml:8 ConfigMap three",
				"f.yaml: it is no Kubernetes object: it cannot be read, and no line of it begins with apiVersion",
				"a.yaml:6: document 2: it is no YAML: did not find expected node content",
				`b.yaml:5: it is no YAML: mapping key "data" already defined at line 4`,
				"c.yaml:1: metadata.name: generateName would make another ConfigMap at each save: name it",
				"d.yaml:1: metadata.name: name the ConfigMap",
				"e.yaml:1: apiVersion: unexpected GroupVersion string: a/b/c",
			},
		},
		"one object twice": {
			files: map[string]string{"a.yaml": object("v1", "ConfigMap", "a"), "b.yaml": "# b\n" + object("v1", "ConfigMap", "a")},
			want:  []string{"a.yaml:1 ConfigMap a", "b.yaml:2: ConfigMap a is at a.yaml:1 too: keep one of them"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := directory(t, c.files)
			set, err := Read(dir)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Join(told(dir, set), "\n"), strings.Join(c.want, "\n"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func told(dir string, set *Set) []string {
	var got []string
	for _, o := range set.Objects {
		got = append(got, fmt.Sprintf("%s:%d %s", filepath.Base(o.File), o.Line, o.Title()))
	}
	for _, l := range set.LeftOut {
		got = append(got, filepath.Base(l.File)+": "+l.Why)
	}
	for _, p := range set.Problems {
		got = append(got, strings.ReplaceAll(p.Error(), dir+string(filepath.Separator), ""))
	}
	return got
}

// TestWhole: what could be an object and was not read is not gone.
func TestWhole(t *testing.T) {
	for content, want := range map[string]bool{
		object("v1", "ConfigMap", "a"):       true,
		"services: {}\n":                     true,
		"apiVersion: v1\nkind: [\n":          false,
		"metadata: {name: {{ .Name }} }\n":   false,
		"half: [\n":                          false,
		"apiVersion: v1\nkind: ConfigMap\n":  false,
		"apiVersion: v2\nname: some-chart\n": true,
		"# apiVersion: v1\n":                 true,
		"":                                   false,
	} {
		set, err := Read(directory(t, map[string]string{"a.yaml": content}))
		if err != nil || set.Whole() != want {
			t.Errorf("%q: Whole = %v, %v; want %v", content, set.Whole(), err, want)
		}
	}
}

func TestFilesAreOrdinaryOnes(t *testing.T) {
	dir := directory(t, map[string]string{"a.yaml": ""})
	for _, err := range []error{
		os.Mkdir(filepath.Join(dir, "folder.yaml"), 0o700),
		os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(dir, "broken.yaml")),
		os.Symlink(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "link.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	files, err := Files(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("Files = %v, %v; want a.yaml and link.yaml", files, err)
	}
	if files, err := Files(filepath.Join(dir, "nowhere")); err != nil || files != nil {
		t.Errorf("Files of a folder that is not there = %v, %v", files, err)
	}
}

func only(t *testing.T, content string) Object {
	t.Helper()
	set, err := Read(directory(t, map[string]string{"a.yaml": content}))
	if err != nil || len(set.Objects) != 1 {
		t.Fatalf("%d objects, %v, %v", len(set.Objects), set.Problems, err)
	}
	return set.Objects[0]
}

func TestImages(t *testing.T) {
	o := only(t, deployment)
	if got := fmt.Sprint(o.Programs()); got != "[example.com/migrate example.com/web]" {
		t.Errorf("programs %s", got)
	}
	resolved, missing := o.Resolve(map[string]string{"example.com/migrate": "r/migrate@sha256:1"})
	if got := images(resolved); got != "r/migrate@sha256:1 ko://example.com/web r/migrate@sha256:1 postgres:17" || fmt.Sprint(missing) != "[example.com/web]" {
		t.Errorf("images %s, missing %v", got, missing)
	}
	if got := images(o); got != "ko://example.com/migrate ko://example.com/web ko://example.com/migrate postgres:17" {
		t.Errorf("Resolve changed what it was given: %s", got)
	}
}

func images(o Object) string {
	var all []string
	for _, c := range o.containers() {
		all = append(all, c["image"].(string))
	}
	return strings.Join(all, " ")
}

// TestProgramsByKind: every kind that makes pods, and no other.
func TestProgramsByKind(t *testing.T) {
	pod := "{containers: [{name: a, image: 'ko://example.com/a'}]}"
	for kind, spec := range map[string]string{
		"v1 Pod":                         pod,
		"apps/v1 Deployment":             "{template: {spec: " + pod + "}}",
		"apps/v1 StatefulSet":            "{template: {spec: " + pod + "}}",
		"apps/v1 DaemonSet":              "{template: {spec: " + pod + "}}",
		"apps/v1 ReplicaSet":             "{template: {spec: " + pod + "}}",
		"batch/v1 Job":                   "{template: {spec: " + pod + "}}",
		"batch/v1 CronJob":               "{jobTemplate: {spec: {template: {spec: " + pod + "}}}}",
		"serving.knative.dev/v1 Service": "{template: {spec: " + pod + "}}",
	} {
		version, name, _ := strings.Cut(kind, " ")
		if got := fmt.Sprint(only(t, object(version, name, "a")+"spec: "+spec+"\n").Programs()); got != "[example.com/a]" {
			t.Errorf("%s: programs %s", kind, got)
		}
	}
	for _, other := range []string{
		object("v1", "Service", "a") + "spec: {template: {spec: " + pod + "}}\n",
		object("apps/v1", "Deployment", "a"),
		object("apps/v1", "Deployment", "a") + "spec: {template: nonsense}\n",
	} {
		if got := only(t, other).Programs(); got != nil {
			t.Errorf("%s: programs %v", other, got)
		}
	}
}

func TestGone(t *testing.T) {
	applied := map[Key]int{}
	for _, k := range []Key{
		{Kind: "Namespace", Name: "n"}, {Kind: "ConfigMap", Namespace: "n", Name: "a"}, {Kind: "ConfigMap", Namespace: "n", Name: "b"},
		{Group: "apps", Kind: "Deployment", Namespace: "n", Name: "web"}, {Group: "serving.knative.dev", Kind: "Service", Namespace: "n", Name: "web"},
		{Kind: "Service", Namespace: "n", Name: "web"},
	} {
		applied[k] = 1
	}
	gone := Gone(applied, map[Key]bool{{Kind: "ConfigMap", Namespace: "n", Name: "b"}: true, {Kind: "Secret", Name: "other"}: true})
	var got []string
	for _, k := range gone {
		got = append(got, k.String())
	}
	if want := "Service web, Deployment web, Service web, ConfigMap a, Namespace n"; strings.Join(got, ", ") != want {
		t.Errorf("gone are %s, want %s", strings.Join(got, ", "), want)
	}
}

func TestWithoutOthers(t *testing.T) {
	service := object("serving.knative.dev/v1", "Service", "ours")
	for name, c := range map[string]struct {
		data, kept string
		others     bool
	}{
		"one Service":             {service, service, false},
		"a mistake":               {"kind: Nonsense\n", "kind: Nonsense\n", false},
		"of another version":      {object("serving.knative.dev/v1beta1", "Service", "x"), object("serving.knative.dev/v1beta1", "Service", "x"), false},
		"after another":           {object("v1", "ConfigMap", "a") + "---\n" + service, "\n\n\n---\n" + service, true},
		"before another":          {service + "---\n" + object("v1", "ConfigMap", "a"), service + "\n\n\n\n", true},
		"Kubernetes' own Service": {object("v1", "Service", "web"), "\n\n\n", true},
		"two Services":            {service + "---\n" + service, service + "---\n" + service, false},
	} {
		kept, others := WithoutOthers("service.yaml", []byte(c.data))
		if string(kept) != c.kept || others != c.others {
			t.Errorf("%s: kept %q, others %v; want %q, %v", name, kept, others, c.kept, c.others)
		}
	}
}

// TestItemsOfAList have the lines and the kinds that they have in the list.
func TestItemsOfAList(t *testing.T) {
	dir := directory(t, map[string]string{
		"list.yaml": "apiVersion: v1\nkind: ConfigMapList\nitems:\n- metadata: {name: a}\n-\n  metadata:\n    name: b\n",
	})
	set, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range set.Objects {
		got = append(got, fmt.Sprintf("%s %s at %d", o.GetAPIVersion(), o.Title(), o.Line))
	}
	if want := []string{"v1 ConfigMap a at 4", "v1 ConfigMap b at 6"}; !slices.Equal(got, want) || len(set.LeftOut)+len(set.Problems) > 0 {
		t.Errorf("objects %q, left out %v, problems %v; want %q", got, set.LeftOut, set.Problems, want)
	}
}

// TestTwinsInDefault: an object that names the namespace default and one that
// names none are one.
func TestTwinsInDefault(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n",
		"b.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: default}\n",
	})
	set, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(set.Objects) != 1 || len(set.Problems) != 1 || !strings.Contains(set.Problems[0].Words, "is at a.yaml:1 too") {
		t.Errorf("objects %v, problems %v", set.Objects, set.Problems)
	}
}

// TestARevisionsName is refused where each save makes another revision.
func TestARevisionsName(t *testing.T) {
	dir := directory(t, map[string]string{
		"a.yaml": "\n---\napiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec:\n  template:\n    metadata:\n      name: a-v1\n",
	})
	set, err := Read(dir)
	if err != nil || len(set.Problems) != 1 || set.Problems[0].Line != 9 || !strings.Contains(set.Problems[0].Words, "spec.template.metadata.name") {
		t.Errorf("problems %v, %v", set.Problems, err)
	}
}
