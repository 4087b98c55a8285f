package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Owned are all objects in the box that devbox made of manifests, in whatever
// session. Which kinds to look through, the API server is asked for.
func (d *Deployer) Owned(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	kinds, err := d.kinds()
	if err != nil {
		return nil, err
	}
	var owned []metav1.PartialObjectMetadata
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		switch err := d.client.List(ctx, list, client.HasLabels{OwnerLabel}); {
		case apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
			continue // it went while we looked
		case err != nil:
			return nil, fmt.Errorf("listing what is there of %s: %w", kind.Kind, err)
		}
		for _, o := range list.Items {
			if o.Annotations[DirectoryAnnotation] != "" && metav1.GetControllerOf(&o) == nil && o.DeletionTimestamp == nil {
				o.SetGroupVersionKind(kind)
				owned = append(owned, o)
			}
		}
	}
	return owned, nil
}

// kinds are those of which objects can be listed and deleted, each once.
func (d *Deployer) kinds() ([]schema.GroupVersionKind, error) {
	lists, err := discovery.ServerPreferredResources(d.discovery)
	if partly := (*discovery.ErrGroupDiscoveryFailed)(nil); err != nil && !errors.As(err, &partly) {
		return nil, fmt.Errorf("asking for the kinds of objects: %w", err)
	}
	var kinds []schema.GroupVersionKind
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") {
				kinds = append(kinds, version.WithKind(r.Kind))
			}
		}
	}
	return kinds, nil
}

// Remove deletes an object that Owned or Place has shown to be devbox's. It
// looks once more whether it is: somebody may have taken it over.
func (d *Deployer) Remove(ctx context.Context, dir string, kind schema.GroupVersionKind, key client.ObjectKey) error {
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(kind)
	switch err := again(ctx, func() error { return d.client.Get(ctx, key, now) }); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("looking for what is there: %w", err)
	}
	if now.Labels[OwnerLabel] != Owner(dir) || now.Annotations[DirectoryAnnotation] == "" {
		return nil
	}
	return d.delete(ctx, now)
}
