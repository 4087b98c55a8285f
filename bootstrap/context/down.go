package context

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/kind-in-a-box/devbox/bootstrap"
	"github.com/kind-in-a-box/devbox/bootstrap/helm"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Down removes all in the box's namespace that has the box's label, and nothing
// else: what its Services have made goes with them.
func (Engine) Down(ctx context.Context, box *bootstrap.Box, say func(string)) error {
	if box.Guest == nil { // it was never settled where the box is
		return nil
	}
	config, err := box.RESTConfig()
	if err != nil {
		return err
	}
	config.Timeout, config.QPS, config.Burst = patience, 50, 100
	config.WarningHandler = rest.NoWarnings{} // of kinds that are about to go, which are looked through as all are
	api, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	kinds, err := labelled(api)
	if err != nil {
		return &bootstrap.ClusterError{
			Step: "down", Err: fmt.Errorf("the cluster of context %s does not answer, so what box %s made there stays: %w", box.Guest.Context, box.Name, last(err)),
			Hint: "run `" + bootstrap.Command(box.Name, "down") + "` when it is back; where it is gone for good, remove " + box.Dir(),
		}
	}
	objects, err := metadata.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	r := removal{objects: objects, namespace: box.Guest.Namespace, selector: servingv1.GuestLabel + "=" + box.Guest.ID, say: say}
	had, err := r.remove(ctx, kinds)
	if err != nil {
		return err
	}
	if err := r.await(ctx, had); err != nil || !box.Guest.Install {
		return err
	}
	charts, err := helm.New(config)
	if err != nil {
		return err
	}
	return (&uninstall{r, charts, box.Name}).all(ctx)
}

// labelled are the kinds in namespaces that can be listed and deleted, each once.
func labelled(api discovery.DiscoveryInterface) ([]schema.GroupVersionResource, error) {
	lists, err := discovery.ServerPreferredNamespacedResources(api)
	if partly := (*discovery.ErrGroupDiscoveryFailed)(nil); err != nil && !errors.As(err, &partly) {
		return nil, err
	}
	var kinds []schema.GroupVersionResource
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			continue
		}
		for _, r := range list.APIResources {
			if !strings.Contains(r.Name, "/") && slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete") {
				kinds = append(kinds, version.WithResource(r.Name))
			}
		}
	}
	return kinds, nil
}

// removal removes what has a label.
type removal struct {
	objects   metadata.Interface
	namespace string
	selector  string
	say       func(string)
}

// made are the objects of a kind that have the label and that nothing else has
// made. Whoever may not list a kind has made nothing of it.
func (r removal) made(ctx context.Context, kind schema.GroupVersionResource) ([]metav1.PartialObjectMetadata, error) {
	list, err := r.objects.Resource(kind).Namespace(r.namespace).List(ctx, metav1.ListOptions{LabelSelector: r.selector})
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsMethodNotSupported(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("listing what there is of %s: %w", kind.Resource, err)
	}
	return slices.DeleteFunc(list.Items, func(o metav1.PartialObjectMetadata) bool { return metav1.GetControllerOf(&o) != nil }), nil
}

// remove removes it, and returns of which kinds there was any.
func (r removal) remove(ctx context.Context, kinds []schema.GroupVersionResource) (had []schema.GroupVersionResource, err error) {
	for _, kind := range kinds {
		made, err := r.made(ctx, kind)
		if err != nil {
			return nil, err
		}
		if len(made) > 0 {
			had = append(had, kind)
		}
		for _, o := range made {
			r.say(fmt.Sprintf("removing %s %s", kind.GroupResource(), o.Name))
			err := r.objects.Resource(kind).Namespace(r.namespace).Delete(ctx, o.Name, metav1.DeleteOptions{
				Preconditions:     &metav1.Preconditions{UID: &o.UID},
				PropagationPolicy: new(metav1.DeletePropagationBackground),
			})
			if err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("removing %s %s: %w", kind.Resource, o.Name, err)
			}
		}
	}
	return had, nil
}

// goneIn is how long what was removed may take to be gone.
const goneIn = time.Minute

// await waits until nothing of some kinds has the label: the box's record is all
// that would know of it.
func (r removal) await(ctx context.Context, kinds []schema.GroupVersionResource) error {
	ctx, cancel := context.WithTimeoutCause(ctx, goneIn, fmt.Errorf("it is not gone in %s", goneIn))
	defer cancel()
	for _, kind := range kinds {
		if err := bootstrap.Poll(ctx, 200*time.Millisecond, func(ctx context.Context) error {
			left, err := r.made(ctx, kind)
			if err == nil && len(left) > 0 {
				err = fmt.Errorf("%s %s is there", kind.Resource, left[0].Name)
			}
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}
