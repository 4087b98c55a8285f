package apiserver

import (
	"context"
	"io"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/kubernetes/pkg/kubeapiserver/options"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// usersPlugin writes down who made an object of Knative's, and who changed its
// spec last: serving.knative.dev/creator and lastModifier. Only the request
// knows, so it is the API server's to do.
//
// On kind a MutatingAdmissionPolicy of the serving chart says the same. Here it
// would not do: the API server learns of a kind's schema seconds after the kind,
// and refuses its objects until then where a policy is to change them, in a box
// that has its first service within one.
const usersPlugin = "KnativeUsers"

// registerUsers adds the plugin, before those that judge.
func registerUsers(o *options.AdmissionOptions) {
	generic := o.GenericAdmission
	generic.Plugins.Register(usersPlugin, func(io.Reader) (admission.Interface, error) {
		return users{admission.NewHandler(admission.Create, admission.Update)}, nil
	})
	generic.RecommendedPluginOrder = append([]string{usersPlugin}, generic.RecommendedPluginOrder...)
}

type users struct{ *admission.Handler }

var _ admission.MutationInterface = users{}

// Admit implements admission.MutationInterface.
func (users) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	now, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok || a.GetResource().Group != servingv1.GroupName || a.GetSubresource() != "" || a.GetResource().Resource == "revisions" {
		return nil
	}
	if metav1.GetControllerOf(now) != nil {
		return nil // it has its owner's
	}
	creator, modifier := a.GetUserInfo().GetName(), a.GetUserInfo().GetName()
	if before, ok := a.GetOldObject().(*unstructured.Unstructured); ok {
		said := before.GetAnnotations()
		if was, ok := said[servingv1.CreatorAnnotation]; ok {
			creator = was
		}
		if was, ok := said[servingv1.LastModifierAnnotation]; ok && equality.Semantic.DeepEqual(now.Object["spec"], before.Object["spec"]) {
			modifier = was
		}
	}
	annotations := now.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[servingv1.CreatorAnnotation], annotations[servingv1.LastModifierAnnotation] = creator, modifier
	now.SetAnnotations(annotations)
	return nil
}
