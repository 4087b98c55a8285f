package charts_test

import (
	"fmt"
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/util/json"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// A kind is a kind as an API server serves it: the server's own steps, in
// the server's order, without a server.
type kind struct {
	structural *schema.Structural
	schema     validation.SchemaValidator
	rules      *cel.Validator
}

// kinds are the chart's kinds by name.
func kinds(t *testing.T) map[string]kind {
	t.Helper()
	all := map[string]kind{}
	for _, crd := range crds(t) {
		props, err := apiextensions.GetSchemaForVersion(crd, crd.Spec.Versions[0].Name)
		if err != nil {
			t.Fatal(err)
		}
		structural, err := schema.NewStructural(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(props.OpenAPIV3Schema)
		if err != nil {
			t.Fatal(err)
		}
		all[crd.Spec.Names.Kind] = kind{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
	}
	return all
}

// create is what the server makes of a new object and of its mistakes.
func (k kind) create(t *testing.T, data []byte) (map[string]any, []string) {
	t.Helper()
	return k.update(t, data, nil)
}

// update is the same for a new form of old.
func (k kind) update(t *testing.T, data []byte, old map[string]any) (map[string]any, []string) {
	t.Helper()
	obj := map[string]any{}
	data, err := yaml.YAMLToJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &obj); err != nil { // whole numbers stay whole, as rules want them
		t.Fatal(err)
	}
	var said []string
	for _, path := range pruning.PruneWithOptions(obj, k.structural, true, schema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}) {
		said = append(said, fmt.Sprintf("unknown field %q", path))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(obj, k.structural)
	defaulting.Default(obj, k.structural)
	errs := validation.ValidateCustomResource(nil, obj, k.schema)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, k.structural, obj)...)
	if len(errs) == 0 { // the server asks no rule about an object of the wrong shape
		var before any
		if old != nil {
			before = old
		}
		ruled, _ := k.rules.Validate(t.Context(), nil, k.structural, obj, before, celconfig.RuntimeCELCostBudget)
		errs = append(errs, ruled...)
	}
	for _, err := range errs {
		said = append(said, err.Error())
	}
	return obj, said
}
