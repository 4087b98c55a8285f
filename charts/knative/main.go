// Command knative writes docs/knative.md: every kind, field, annotation, label and
// key of Knative Serving's, and what becomes of it in a box. Fields come from the
// chart's kinds and from Kubernetes' own types, annotations and keys from the
// tables that the code goes by.
package main

import (
	"cmp"
	"fmt"
	"log"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/kind-in-a-box/devbox/charts"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/config"
)

func main() {
	text, err := page()
	if err == nil {
		err = os.WriteFile(os.Args[1], []byte(text), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

const head = `# Knative Serving, word by word

What becomes of everything that Knative Serving v1 has, in a box. This page is made from the code by ` + "`go generate ./charts`" + `.
*Refused* says how: the API server, and ` + "`devbox up`" + ` before it, answer with the field's or the annotation's name; a ConfigMap
gets an event, ` + "`InvalidConfiguration`" + `, with the key's, and what it said before holds.

`

// page is the page's text.
func page() (string, error) {
	var b strings.Builder
	b.WriteString(head)
	crds, err := charts.CRDs()
	if err != nil {
		return "", err
	}
	section(&b, "Kinds", "kind", "")
	for _, crd := range crds {
		row(&b, crd.Spec.Names.Kind+" ("+strings.Join(crd.Spec.Names.ShortNames, ", ")+")", "works", "")
	}
	for _, kind := range []string{"ClusterDomainClaim", "PodAutoscaler, Metric", "Ingress, ServerlessService, Certificate, Image"} {
		row(&b, kind, "refused", "`no matches for kind`")
	}
	by := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, crd := range crds {
		by[crd.Spec.Names.Kind] = crd
	}
	fields(&b, by["Service"])
	mappingFields(&b, by["DomainMapping"])
	annotations(&b)
	for _, name := range slices.Sorted(maps.Keys(config.Keys)) {
		if name != config.Devbox {
			keys(&b, name)
		}
	}
	for _, name := range []string{"config-logging", "config-leader-election", "config-istio", "config-certmanager"} {
		section(&b, name, "key", "")
		row(&b, "all", "refused", "the ConfigMap is not there; the parts of a box need none of it")
	}
	return b.String(), nil
}

func section(b *strings.Builder, title, what, text string) {
	fmt.Fprintf(b, "\n## %s\n\n%s| %s | in a box | how |\n|---|---|---|\n", title, text, what)
}

func row(b *strings.Builder, name, verdict, how string) {
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, verdict, strings.ReplaceAll(how, "|", "\\|"))
}

// differs are fields that do not do what they do elsewhere.
var differs = map[string]string{
	"spec.template.metadata.name":                                      "a changed template needs another",
	"spec.template.spec.initContainers":                                "without Knative's flag, unless config-features has it disabled",
	"spec.template.spec.containers[].resources.limits":                 "not enforced on the embedded engine",
	"spec.template.spec.containers[].securityContext.capabilities.add": "`NET_BIND_SERVICE` alone",
}

// fields lists what the schema of a Service has, and then what Kubernetes' pods
// have and it has not.
func fields(b *strings.Builder, crd *apiextensionsv1.CustomResourceDefinition) {
	section(b, "Fields of a Service", "field", "Those of Configuration, Revision and Route are the same in their places.\n\n")
	has := map[string]bool{}
	walk("spec", crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], has)
	for _, path := range slices.Sorted(maps.Keys(has)) {
		verdict, how := "works", differs[path]
		if how != "" {
			verdict = "works differently"
		}
		row(b, path, verdict, how)
	}
	for path, of := range map[string]reflect.Type{
		"spec.template.spec":              reflect.TypeFor[corev1.PodSpec](),
		"spec.template.spec.containers[]": reflect.TypeFor[corev1.Container](),
	} {
		for _, name := range jsonNames(of) {
			has[path+"."+name] = has[path+"."+name] || has[path+"."+name+"[]"]
		}
	}
	for _, path := range slices.Sorted(maps.Keys(has)) {
		if !has[path] {
			row(b, path, "refused", fmt.Sprintf("`unknown field %q`", path))
		}
	}
}

// mapping are the fields of a DomainMapping that do not do all that they do
// elsewhere, by their verdicts.
var mapping = map[string]struct{ verdict, how string }{
	"metadata.name":       {"works differently", "must not be one of the box's own: `.svc`, `.cluster.local`, `.devbox.internal`, and `devbox`, `grafana`, `prometheus` and `zipkin` in `.localhost`"},
	"spec.ref.apiVersion": {"works differently", "`serving.knative.dev/v1` alone: Kubernetes' own Services are refused"},
	"spec.ref.kind":       {"works differently", "`Service` and `Route`; others are refused"},
	"spec.ref.namespace":  {"works", "the DomainMapping's own, or absent"},
	"spec.ref.group":      {"refused", "`unknown field \"spec.ref.group\"`"},
	"spec.ref.address":    {"refused", "`unknown field \"spec.ref.address\"`"},
	"spec.tls":            {"refused", "a box's gateway takes HTTP alone"},
	"spec.tls.secretName": {"refused", "with `spec.tls`"},
}

// mappingFields lists what the schema of a DomainMapping has, and what that of
// Knative has beside it.
func mappingFields(b *strings.Builder, crd *apiextensionsv1.CustomResourceDefinition) {
	section(b, "Fields of a DomainMapping", "field", "The first DomainMapping of a host has it, and no Route's own host can be mapped: `DomainClaimed` says whose it is.\n\n")
	has := map[string]bool{}
	walk("spec", crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"], has)
	for path := range mapping {
		has[path] = true
	}
	for _, path := range slices.Sorted(maps.Keys(has)) {
		said := mapping[path]
		row(b, path, cmp.Or(said.verdict, "works"), said.how)
	}
}

// walk collects the paths of a schema's leaves, and of its lists.
func walk(path string, s apiextensionsv1.JSONSchemaProps, into map[string]bool) {
	if s.Items != nil {
		into[path] = true
		walk(path+"[]", *s.Items.Schema, into)
		return
	}
	if len(s.Properties) == 0 {
		into[path] = true
		return
	}
	into[path] = true
	for name, child := range s.Properties {
		walk(path+"."+name, child, into)
	}
}

func jsonNames(t reflect.Type) []string {
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

// unlike are annotations of the autoscaler's that do less than elsewhere.
var unlike = map[string]string{
	"class":                 "`kpa.autoscaling.knative.dev` alone; others are refused",
	"metric":                "`concurrency` and `rps`; others are refused",
	"initial-scale":         "0 is refused unless config-autoscaler has `allow-zero-initial-scale`",
	"target-burst-capacity": "decides nothing: the activator stays on the way; the excess is shown",
}

func annotations(b *strings.Builder) {
	section(b, "Annotations and labels", "name", "")
	for _, name := range servingv1.AutoscalingNames() {
		verdict := "works"
		if unlike[name] != "" {
			verdict = "works differently"
		}
		row(b, servingv1.AutoscalingPrefix+name, verdict, unlike[name])
	}
	row(b, servingv1.AutoscalingPrefix+"*", "refused", "any other: `is no annotation that the autoscaler reads`")
	for _, k := range servingv1.KnownMetadata() {
		verdict := "works"
		switch {
		case k.Refused:
			verdict = "refused"
		case k.How != "":
			verdict = "works differently"
		}
		how := "on " + k.On
		if k.How != "" {
			how += "; " + k.How
		}
		row(b, k.Name, verdict, how)
	}
}

func keys(b *strings.Builder, name string) {
	section(b, name, "key", "")
	if config.Keys[name] == nil {
		row(b, "<domain>", "works", "without a selector it takes the place of the box's own domain")
		return
	}
	for _, k := range config.Keys[name] {
		switch {
		case len(k.Values) > 0:
			row(b, k.Name, "refused", fmt.Sprintf("but for %s: %s", strings.Join(shown(k.Values), ", "), k.How))
		case k.How != "":
			row(b, k.Name, "works differently", k.How)
		default:
			row(b, k.Name, "works", "")
		}
	}
	row(b, "*", "refused", "any other: `is no key of "+name+"`")
}

func shown(values []string) []string {
	var out []string
	for _, v := range values {
		if v == "" {
			out = append(out, "nothing")
			continue
		}
		out = append(out, "`"+v+"`")
	}
	return out
}
