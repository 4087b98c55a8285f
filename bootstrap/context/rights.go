package context

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// thisMachines is the platform of images for this machine.
const thisMachines = "linux/" + runtime.GOARCH

// right is what may be asked for in the box's namespace.
type right struct {
	group, resource, subresource string
	verbs                        []string
}

// wanted are the rights without which no service is deployed and followed.
var wanted = []right{
	{servingv1.GroupVersion.Group, "services", "", []string{"get", "list", "watch", "create", "patch", "delete"}},
	{servingv1.GroupVersion.Group, "revisions", "", []string{"get", "list", "watch", "delete"}},
	{servingv1.GroupVersion.Group, "routes", "", []string{"list"}},
	{"", "pods", "", []string{"get", "list", "watch"}},
	{"", "pods", "log", []string{"get"}},
}

// rights asks for each of them, before anything is written.
func (s *survey) rights(ctx context.Context) {
	refused, err := s.refused(ctx, s.guest.Namespace, wanted)
	if err != nil {
		s.Add("rights", bootstrap.Fail, fmt.Sprintf("asking what you may do: %v", err), "")
		return
	}
	if refused != "" {
		s.Add("rights", bootstrap.Fail, fmt.Sprintf("in namespace %s you may not %s", s.guest.Namespace, refused),
			"have somebody give you a Role with these rights there (docs/context.md has one), or take another --namespace")
		return
	}
	s.Add("rights", bootstrap.OK, "you may deploy to namespace "+s.guest.Namespace, "")
}

// refused says which of some rights the user has not, in a namespace or, where
// that is "", in the whole cluster; "" where he has them all.
func (s *survey) refused(ctx context.Context, namespace string, rights []right) (string, error) {
	var refused []string
	for _, r := range rights {
		may, why, err := s.may(ctx, namespace, r)
		if err != nil {
			return "", err
		}
		if len(may) < len(r.verbs) {
			not := slices.DeleteFunc(slices.Clone(r.verbs), func(v string) bool { return slices.Contains(may, v) })
			refused = append(refused, fmt.Sprintf("%s %s%s", strings.Join(not, ", "), r, why))
		}
	}
	return strings.Join(refused, "; nor "), nil
}

// String names what the right is to, as kubectl auth can-i takes it.
func (r right) String() string {
	said := r.resource
	if r.subresource != "" {
		said += "/" + r.subresource
	}
	if r.group != "" {
		said += "." + r.group
	}
	return said
}

// may are the verbs that the user has of a right, in a namespace or, where that
// is "", in the whole cluster; why is what the cluster says of the others.
func (s *survey) may(ctx context.Context, namespace string, r right) (verbs []string, why string, err error) {
	for _, verb := range r.verbs {
		review, err := s.clients.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: verb, Group: r.group, Resource: r.resource, Subresource: r.subresource,
			}},
		}, metav1.CreateOptions{})
		if err != nil {
			return nil, "", err
		}
		if review.Status.Allowed {
			verbs = append(verbs, verb)
			continue
		}
		if review.Status.Reason != "" {
			why = " (" + review.Status.Reason + ")"
		}
	}
	return verbs, why, nil
}
