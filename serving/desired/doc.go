// Package desired says what an object's children look like. It is pure: an
// owner goes in, the child as it should be comes out, and nothing is read or
// written on the way.
//
//	Service ──Configuration──> Configuration ──Revision──> Revision ──Pod──> Pod
//	       └──Route──────────> Route ──PlaceholderServices──> Services
//
// Every child names its kind and its controller owner, so that it can be
// applied or created as it is.
package desired

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func typeMeta(kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: servingv1.GroupVersion.String(), Kind: kind}
}

func ownedBy(owner metav1.Object, kind string) []metav1.OwnerReference {
	return []metav1.OwnerReference{*metav1.NewControllerRef(owner, servingv1.Kind(kind))}
}

// merged is the union of maps; the later win.
func merged[K ~string, V any](all ...map[K]V) map[K]V {
	out := map[K]V{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// handedDown are a parent's annotations less the one in which kubectl keeps
// the parent's own text.
func handedDown(annotations map[string]string) map[string]string {
	out := maps.Clone(annotations)
	delete(out, corev1.LastAppliedConfigAnnotation)
	return out
}
