package charts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/charts"
)

// TestCRDsAreAccepted asks what an API server asks of a new kind: above all
// that no rule costs more than it grants.
func TestCRDsAreAccepted(t *testing.T) {
	for _, crd := range crds(t) {
		for _, err := range validation.ValidateCustomResourceDefinition(t.Context(), crd) {
			t.Errorf("%s: %v", crd.Name, err)
		}
	}
}

// refused are the Services that Decode refuses, and those that it leaves to the
// server.
func refused(t *testing.T) []txtar.File {
	t.Helper()
	var files []txtar.File
	for _, name := range []string{"refused", "limits"} {
		archive, err := txtar.ParseFile("../serving/api/v1/testdata/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, archive.Files...)
	}
	return files
}

// TestServerRefuses shows what the schemas and the admission policy say of
// every mistake that Decode refuses, and of what it leaves to them.
func TestServerRefuses(t *testing.T) {
	service := kinds(t)["Service"]
	policy := policy(t)
	var all strings.Builder
	for _, f := range refused(t) {
		obj, said := service.create(t, f.Data)
		said = append(said, judge(t, policy, obj)...)
		if len(said) == 0 {
			t.Errorf("%s is accepted", f.Name)
		}
		for _, s := range said {
			fmt.Fprintf(&all, "%s: %s\n", f.Name, s)
		}
	}
	golden(t, filepath.Join("testdata", "refused.golden"), all.String())
}

func TestServerAcceptsExamples(t *testing.T) {
	files, err := filepath.Glob("../examples/*/service.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no examples found", err)
	}
	service, policy := kinds(t)["Service"], policy(t)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		obj, said := service.create(t, data)
		if said = append(said, judge(t, policy, obj)...); said != nil {
			t.Errorf("%s: %q", file, said)
		}
	}
}

// TestServerAcceptsSettled has annotations that say what a box does anyway.
func TestServerAcceptsSettled(t *testing.T) {
	data, err := os.ReadFile("../serving/api/v1/testdata/settled.yaml")
	if err != nil {
		t.Fatal(err)
	}
	obj, said := kinds(t)["Service"].create(t, data)
	if said = append(said, judge(t, policy(t), obj)...); said != nil {
		t.Errorf("%q", said)
	}
}

// TestServerDefaults shows what the server writes into the smallest Service.
func TestServerDefaults(t *testing.T) {
	got, said := kinds(t)["Service"].create(t, []byte(`
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec: {template: {spec: {containers: [{image: example.com/hello}]}}}
`))
	if said != nil {
		t.Fatal(said)
	}
	text, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, filepath.Join("testdata", "defaults.golden"), string(text))
}

// TestServerKeepsRevisions: a Revision never changes, and a name that its
// author brought names one template only.
func TestServerKeepsRevisions(t *testing.T) {
	object := func(kind, metadata, spec string) []byte {
		return fmt.Appendf(nil, "apiVersion: serving.knative.dev/v1\nkind: %s\nmetadata: %s\nspec: %s\n", kind, metadata, spec)
	}
	revision := func(label, image string) []byte {
		return object("Revision", "{name: hello-00001, labels: {a: "+label+"}}", "{containers: [{image: "+image+"}]}")
	}
	service := func(name, image string) []byte {
		return object("Service", "{name: hello}", "{template: {metadata: {"+name+"}, spec: {containers: [{image: "+image+"}]}}}")
	}
	all := kinds(t)
	for _, c := range []struct {
		name, kind string
		old, now   []byte
		want       string // "" means accepted
	}{
		{"revision relabelled", "Revision", revision("b", "x"), revision("c", "x"), ""},
		{"revision changed", "Revision", revision("b", "x"), revision("b", "z"), "spec: Invalid value"},
		{"same name, same template", "Service", service("name: hello-v1", "x"), service("name: hello-v1", "x"), ""},
		{"same name, other template", "Service", service("name: hello-v1", "x"), service("name: hello-v1", "z"), "spec.template.metadata.name: Invalid value"},
		{"other name, other template", "Service", service("name: hello-v1", "x"), service("name: hello-v2", "z"), ""},
		{"no name any more", "Service", service("name: hello-v1", "x"), service("", "z"), ""},
		{"name from now on", "Service", service("", "x"), service("name: hello-v1", "z"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := all[c.kind]
			old, said := k.create(t, c.old)
			if said != nil {
				t.Fatal(said)
			}
			_, said = k.update(t, c.now, old)
			got := strings.Join(said, "\n")
			if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// crds are the kinds as an API server holds them.
func crds(t *testing.T) []*apiextensions.CustomResourceDefinition {
	t.Helper()
	list, err := charts.CRDs()
	if err != nil {
		t.Fatal(err)
	}
	var internal []*apiextensions.CustomResourceDefinition
	for _, crd := range list {
		apiextensionsv1.SetDefaults_CustomResourceDefinition(crd)
		apiextensionsv1.SetDefaults_CustomResourceDefinitionSpec(&crd.Spec)
		out := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(crd, out, nil); err != nil {
			t.Fatal(err)
		}
		out.Status.StoredVersions = []string{crd.Spec.Versions[0].Name}
		internal = append(internal, out)
	}
	return internal
}
