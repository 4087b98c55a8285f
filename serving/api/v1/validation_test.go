package v1_test

import (
	"os"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// TestValidateOtherKinds covers what is not a Service; what is wrong with
// Services is in testdata/refused.txtar.
func TestValidateOtherKinds(t *testing.T) {
	configuration := func(text string) field.ErrorList { return read[servingv1.Configuration](t, text).Validate() }
	revision := func(text string) field.ErrorList { return read[servingv1.Revision](t, text).Validate() }
	route := func(text string) field.ErrorList { return read[servingv1.Route](t, text).Validate() }
	const containers = "containers: [{image: i}]"
	for _, c := range []struct {
		name string
		errs field.ErrorList
		want string // "" means valid
	}{
		{"configuration", configuration("{metadata: {name: a}, spec: {template: {spec: {" + containers + "}}}}"), ""},
		{"generated name", configuration("{metadata: {generateName: a-}, spec: {template: {spec: {" + containers + "}}}}"), ""},
		{"own revision name under a generated one", configuration("{metadata: {generateName: a-}, spec: {template: {metadata: {name: a-1}, spec: {" + containers + "}}}}"),
			"spec.template.metadata.name: Forbidden"},
		{"revision", revision("{metadata: {name: a-00001, annotations: {autoscaling.knative.dev/min-scale: '1'}}, spec: {" + containers + "}}"), ""},
		{"revision with a wrong annotation", revision("{metadata: {name: a-00001, annotations: {autoscaling.knative.dev/min-scale: x}}, spec: {" + containers + "}}"),
			"metadata.annotations[autoscaling.knative.dev/min-scale]: Invalid value"},
		{"route", route("{metadata: {name: a}, spec: {traffic: [{configurationName: a, percent: 90}, {revisionName: a-00001, percent: 10}]}}"), ""},
		{"route to nowhere", route("{metadata: {name: a}, spec: {traffic: [{percent: 100}]}}"), "spec.traffic[0].configurationName: Required value"},
		{"route to two places", route("{metadata: {name: a}, spec: {traffic: [{configurationName: a, revisionName: a-00001, percent: 100}]}}"),
			"spec.traffic[0].configurationName: Forbidden"},
		{"route without traffic", route("{metadata: {name: a}}"), "spec.traffic: Required value"},
		{"no name", route("{spec: {traffic: [{configurationName: a, percent: 100}]}}"), "metadata.name: Required value"},
	} {
		var got string
		if err := c.errs.ToAggregate(); err != nil {
			got = err.Error()
		}
		if (c.want == "") != (got == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// TestAnnotationsThatHold: what a box does anyway may be said, and queue-proxy
// be sized. The admission policy says so too: charts.TestServerAcceptsSettled.
func TestAnnotationsThatHold(t *testing.T) {
	data, err := os.ReadFile("testdata/settled.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := servingv1.Decode("settled.yaml", data); err != nil {
		t.Error(err)
	}
}
