package deploy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Owned are all objects in the box that devbox made of manifests, in whatever
// session. Which kinds to look through, the API server is asked for.
func (d *Deployer) Owned(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	if d.guest != nil {
		return ownedIn(ctx, d.client, d.discovery, d.guest.Namespace)
	}
	return ownedIn(ctx, d.client, d.discovery, "")
}

// Applied is an object that devbox made of a manifest, as it stands.
type Applied struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
	Directory string `json:"directory"` // in which it is written
	Ready     bool   `json:"ready"`     // rolled out
	Message   string `json:"message,omitempty"`
}

// AppliedIn are all such objects in a box, or in one namespace, in the order of
// their directories, kinds and names.
func AppliedIn(ctx context.Context, config *rest.Config, c client.Client, namespace string) ([]Applied, error) {
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the box: %w", err)
	}
	owned, err := ownedIn(ctx, c, api, namespace)
	all := []Applied{} // JSON has a list, also of none
	for _, o := range owned {
		one := Applied{Kind: o.Kind, Name: o.Name, Namespace: o.Namespace, Directory: o.Annotations[DirectoryAnnotation], Ready: true}
		u := &unstructured.Unstructured{}
		u.SetGroupVersionKind(o.GroupVersionKind())
		if !isService(u) && RollsOut(u) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(&o), u); err != nil {
				continue // it went while we looked
			}
			s := progressOf(u)
			one.Ready, one.Message = s.done, s.reason
		}
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Applied) int {
		return cmp.Or(cmp.Compare(a.Directory, b.Directory), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return all, err
}

// ownedIn looks through every kind, or those of one namespace. There what may not
// be listed is passed over: whoever may not list a kind has made nothing of it.
func ownedIn(ctx context.Context, c client.Client, api discovery.DiscoveryInterface, namespace string) ([]metav1.PartialObjectMetadata, error) {
	kinds, err := kindsOf(api, namespace != "")
	if err != nil {
		return nil, err
	}
	var owned []metav1.PartialObjectMetadata
	for _, kind := range kinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind)
		switch err := c.List(ctx, list, client.HasLabels{OwnerLabel}, client.InNamespace(namespace)); {
		case namespace != "" && apierrors.IsForbidden(err):
			continue
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

// kindsOf are those of which objects can be listed and deleted, each once: all,
// or those that are in namespaces.
func kindsOf(api discovery.DiscoveryInterface, namespaced bool) ([]schema.GroupVersionKind, error) {
	lists, err := discovery.ServerPreferredResources(api)
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
			if namespaced && !r.Namespaced {
				continue
			}
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
