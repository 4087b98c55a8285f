package apiserver

import (
	"context"
	"fmt"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/client/clientset/clientset"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// interruptedAnnotation is on kinds that were half-way to being served when
// an earlier Server was killed; its value is the version that was seen then.
const interruptedAnnotation = "devbox.dev/interrupted"

// establish lets kinds be served that were accepted and not established when
// an earlier Server was killed. kube-apiserver establishes a kind when it
// changes; one that it finds so at its start it looks at again after five
// minutes (customresource_handler.go of apiextensions-apiserver).
func establish(ctx context.Context, config *rest.Config) error {
	client, err := extensions.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	crds := client.ApiextensionsV1().CustomResourceDefinitions()
	all, err := crds.List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing the kinds: %w", err)
	}
	for i := range all.Items {
		crd := &all.Items[i]
		if !apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.NamesAccepted) || apihelpers.IsCRDConditionTrue(crd, apiextensionsv1.Established) {
			continue
		}
		patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, interruptedAnnotation, crd.ResourceVersion)
		if _, err := crds.Patch(ctx, crd.Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
			return fmt.Errorf("establishing kind %s: %w", crd.Name, err)
		}
	}
	return nil
}
