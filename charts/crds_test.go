package charts_test

import (
	"testing"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"

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

// crds are the four kinds as an API server holds them.
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
		out.Status.StoredVersions = []string{"v1"}
		internal = append(internal, out)
	}
	return internal
}
