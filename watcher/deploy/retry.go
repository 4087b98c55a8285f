package deploy

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// retry has a revision made anew that this very template made before, and that
// failed before it was ever ready. The reason may have been outside of it, a
// port, a database, a secret, and may have gone since; of itself the revision
// would not try again, or only after a while. It returns the UID of the one
// that is deleted for that, "" where there is none.
func (d *Deployer) retry(ctx context.Context, applied *unstructured.Unstructured, template string) (types.UID, error) {
	var s servingv1.Service
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(applied.Object, &s); err != nil {
		return "", fmt.Errorf("reading the Service %s: %w", applied.GetName(), err)
	}
	name := s.Status.LatestCreatedRevisionName
	if name == "" || name == s.Status.LatestReadyRevisionName {
		return "", nil
	}
	var rev servingv1.Revision
	err := again(ctx, func() error { return d.client.Get(ctx, client.ObjectKey{Namespace: s.Namespace, Name: name}, &rev) })
	switch {
	case apierrors.IsNotFound(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading the Revision %s: %w", name, err)
	case rev.Annotations[TemplateAnnotation] != template || !rev.IsFailed():
		return "", nil
	}
	err = again(ctx, func() error { return d.client.Delete(ctx, &rev, client.Preconditions{UID: &rev.UID}) })
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return "", fmt.Errorf("deleting the Revision %s, which had failed, so that it is tried again: %w", name, err)
	}
	return rev.UID, nil
}
