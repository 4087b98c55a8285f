package controller

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// reasonBlocked is the reason of a revision whose pods' sidecars refuse the
// activator.
const reasonBlocked = "SidecarRefuses"

// rootNamespace is where objects of Istio's count for all namespaces.
const rootNamespace = "istio-system"

// policies are the kinds of Istio's that may be the reason for a refusal.
var policies = map[stream.Refusal]struct{ kind, says string }{
	stream.RefusesTLS:  {"PeerAuthentication", "takes no mutual TLS"},
	stream.RefusesPeer: {"AuthorizationPolicy", "denies the service account " + servingv1.Namespace + "/activator, through which every request comes"},
}

// blocked is why no pod of pods answers, where the activator says that it is
// their sidecars' doing: it names the user's objects that may be the reason.
func (r *revisions) blocked(ctx context.Context, pods []*corev1.Pod) (*trouble, error) {
	for _, pod := range pods {
		policy, refuses := policies[r.answers.refusal(pod)]
		if !refuses {
			continue
		}
		found, err := r.policies(ctx, policy.kind, pod.Namespace)
		if err != nil {
			return nil, err
		}
		return &trouble{reasonBlocked, fmt.Sprintf("The sidecar of pod %s %s: see %s.", pod.Name, policy.says, found)}, nil
	}
	return nil, nil
}

// policies names the objects of a kind that may count for a namespace. Hardly
// anybody has any, so they are asked for and not watched.
func (r *revisions) policies(ctx context.Context, kind, namespace string) (string, error) {
	var names []string
	for _, in := range []string{namespace, rootNamespace} {
		var list metav1.PartialObjectMetadataList
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: "security.istio.io", Version: "v1", Kind: kind + "List"})
		if err := r.live.List(ctx, &list, client.InNamespace(in)); err != nil {
			return "", fmt.Errorf("listing %s in %s: %w", kind, in, err)
		}
		for _, found := range list.Items {
			names = append(names, kind+" "+found.Namespace+"/"+found.Name)
		}
	}
	if len(names) == 0 {
		return fmt.Sprintf("Istio's mesh configuration, as there is no %s in %s or %s", kind, namespace, rootNamespace), nil
	}
	return strings.Join(names, ", "), nil
}
