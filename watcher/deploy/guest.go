package deploy

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Guest is who deploys to a cluster that others use too: to one namespace, and
// there to nothing but his own.
type Guest struct {
	ID         string // servingv1.GuestLabel of all that is made
	Owner      string // whose it is, for people
	Namespace  string // the only one
	Suffix     string // of services' names; "" for none
	PullSecret string // with which nodes take the images; "" for none
	Remote     bool   // no name in localhost leads to the gateway, or to what serves behind it
}

// NotYoursError says that an object is there which is somebody else's.
type NotYoursError struct {
	Kind, Name, Namespace string
	Owner                 string // "" where devbox did not make it
}

func (e *NotYoursError) Error() string {
	whose := "which devbox did not make"
	if e.Owner != "" {
		whose = "which is of " + e.Owner
	}
	return fmt.Sprintf("there is a %s %s in namespace %s already, %s: --user NAME makes the names of services yours, or --namespace takes another namespace",
		e.Kind, e.Name, e.Namespace, whose)
}

// errElsewhere says that a file asks for more than a guest may do.
var errElsewhere = errors.New("this box has one namespace of its cluster")

// Adapt makes a Service one that the guest may have. It is an error where it
// names another namespace.
func (g *Guest) Adapt(s *servingv1.Service) error {
	if s.Namespace != "" && s.Namespace != metav1.NamespaceDefault && s.Namespace != g.Namespace {
		return fmt.Errorf("it names namespace %s, and %w, %s: leave the namespace out, or give --namespace %s", s.Namespace, errElsewhere, g.Namespace, s.Namespace)
	}
	s.Namespace = g.Namespace
	if g.Suffix != "" {
		s.Name += "-" + g.Suffix
	}
	if spec := &s.Spec.Template.Spec; g.PullSecret != "" && len(spec.ImagePullSecrets) == 0 {
		spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: g.PullSecret}}
	}
	return nil
}

// scope is what of the cluster is watched.
func (g *Guest) scope() map[string]cache.Config {
	if g == nil {
		return nil
	}
	return map[string]cache.Config{g.Namespace: {}}
}

// claim labels an object as the guest's, where there is none of its name that
// is somebody else's, and says as whom it is to be applied. Where there is none at
// all it is new: an apply that is not forced then fails where another guest has
// made one since, for the label is his.
func (d *Deployer) claim(ctx context.Context, u *unstructured.Unstructured) (owner client.FieldOwner, isNew bool, err error) {
	if d.guest == nil {
		return fieldOwner, false, nil
	}
	if u.GetNamespace() != d.guest.Namespace {
		where := "namespace " + u.GetNamespace()
		if u.GetNamespace() == "" {
			where = "no namespace"
		}
		return "", false, fmt.Errorf("it is for %s, and %w, %s", where, errElsewhere, d.guest.Namespace)
	}
	now, err := d.present(ctx, u)
	if err != nil {
		return "", false, err
	}
	if now != nil && now.Labels[servingv1.GuestLabel] != d.guest.ID {
		return "", false, &NotYoursError{Kind: u.GetKind(), Name: u.GetName(), Namespace: u.GetNamespace(), Owner: now.Annotations[servingv1.GuestAnnotation]}
	}
	u.SetLabels(with(u.GetLabels(), servingv1.GuestLabel, d.guest.ID))
	u.SetAnnotations(with(u.GetAnnotations(), servingv1.GuestAnnotation, d.guest.Owner))
	return fieldOwner + "-" + client.FieldOwner(d.guest.ID), now == nil, nil
}
