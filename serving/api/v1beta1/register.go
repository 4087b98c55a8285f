package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

var (
	// GroupVersion is the group and version of DomainMapping.
	GroupVersion = schema.GroupVersion{Group: servingv1.GroupName, Version: "v1beta1"}

	// SchemeBuilder collects what AddToScheme adds.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme makes a scheme know DomainMapping and its list.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &DomainMapping{}, &DomainMappingList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Kind is a kind of this group and version.
func Kind(kind string) schema.GroupVersionKind { return GroupVersion.WithKind(kind) }
