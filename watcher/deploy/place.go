package deploy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const (
	// OwnerLabel is on every object that devbox made of a directory's manifests,
	// with the directory's Owner as its value.
	OwnerLabel = "kind-in-a-box.github.io/owner"
	// DirectoryAnnotation says which directory that is. Kubernetes copies an
	// object's labels, or its annotations, to some of what it makes of it, and
	// never both: what has both is devbox's.
	DirectoryAnnotation = "kind-in-a-box.github.io/directory"
)

// Owner is a directory as a label's value.
func Owner(dir string) string {
	sum := sha256.Sum256([]byte(dir))
	return hex.EncodeToString(sum[:8])
}

// UnknownKindError says that the box has no such kind.
type UnknownKindError struct{ Kind schema.GroupVersionKind }

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("this box has no kind %s of %s", e.Kind.Kind, e.Kind.GroupVersion())
}

// Placed is an object that was applied.
type Placed struct {
	Object *unstructured.Unstructured // as the API server has it
	Mine   bool                       // devbox made it, and removes it
	Since  time.Time                  // when it was asked for

	rollout *Rollout // of a Service of the serving stack
}

// Locate fills in an object's namespace, or takes away one that its kind has
// no use for. A kind that the box does not have is an *UnknownKindError.
func (d *Deployer) Locate(u *unstructured.Unstructured) error {
	namespaced, err := d.client.IsObjectNamespaced(u)
	switch {
	case meta.IsNoMatchError(err):
		return &UnknownKindError{Kind: u.GroupVersionKind()}
	case err != nil:
		return fmt.Errorf("asking for the kind %s: %w", u.GetKind(), err)
	case namespaced && d.guest != nil:
		u.SetNamespace(cmp.Or(u.GetNamespace(), d.guest.Namespace))
	case namespaced:
		u.SetNamespace(cmp.Or(u.GetNamespace(), metav1.NamespaceDefault))
	default:
		u.SetNamespace("")
	}
	return nil
}

// Place makes an object what a manifest in dir says. Without a directory it is
// taken over from whoever had it, and nobody's from then on. What was in the box
// before devbox came is changed and never called devbox's own; what another
// directory has placed is refused. A Pod and a Job, whose descriptions cannot
// change, are replaced where devbox made them.
func (d *Deployer) Place(ctx context.Context, dir string, manifest *unstructured.Unstructured) (*Placed, error) {
	u := manifest.DeepCopy()
	p := &Placed{Object: u, Since: time.Now()}
	if _, _, err := d.claim(ctx, u); err != nil {
		return nil, err
	}
	now, err := d.present(ctx, u)
	if err != nil {
		return nil, err
	}
	if p.Mine, err = mine(now, dir); err != nil {
		return nil, err
	}
	if p.Mine {
		u.SetLabels(with(u.GetLabels(), OwnerLabel, Owner(dir)))
		u.SetAnnotations(with(u.GetAnnotations(), DirectoryAnnotation, dir))
	}
	if p.Mine && replaced(u) {
		sum, err := sumOf(manifest)
		if err != nil {
			return nil, err
		}
		u.SetAnnotations(with(u.GetAnnotations(), TemplateAnnotation, sum))
		if now != nil && now.Annotations[TemplateAnnotation] != sum {
			if err := d.clear(ctx, now); err != nil {
				return nil, err
			}
		}
	}
	if isService(u) {
		return p, d.placeService(ctx, p)
	}
	return p, d.apply(ctx, u)
}

// Check says what is wrong with a manifest, by a dry run of it: nothing is
// changed. A right that is lacking is not the manifest's mistake, nor is a
// namespace, which may be made before it.
func (d *Deployer) Check(ctx context.Context, manifest *unstructured.Unstructured) error {
	u := manifest.DeepCopy()
	if isService(u) {
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, &servingv1.Service{}, true); err != nil {
			return err
		}
	}
	strip(u)
	owner, _, err := d.claim(ctx, u)
	if err != nil {
		return err
	}
	err = again(ctx, func() error {
		return d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u.DeepCopy()), owner, client.ForceOwnership, client.DryRunAll)
	})
	if apierrors.IsForbidden(err) || lacksNamespace(err) {
		return nil
	}
	return err
}

// placeService applies a Service of the serving stack as one that has a
// directory of its own.
func (d *Deployer) placeService(ctx context.Context, p *Placed) (err error) {
	s := &servingv1.Service{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(p.Object.Object, s, true); err != nil {
		return err
	}
	p.rollout, err = d.applyService(ctx, s)
	return err
}

// Host is the host of an object that the gateway knows, and empty for others.
func (p *Placed) Host() string {
	if p.rollout == nil {
		return ""
	}
	return p.rollout.host
}

// present is what the box has of an object now, or nil.
func (d *Deployer) present(ctx context.Context, u *unstructured.Unstructured) (*metav1.PartialObjectMetadata, error) {
	now := &metav1.PartialObjectMetadata{}
	now.SetGroupVersionKind(u.GroupVersionKind())
	err := again(ctx, func() error { return d.client.Get(ctx, client.ObjectKeyFromObject(u), now) })
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("looking for what is there: %w", err)
	}
	return now, nil
}

// mine says whether an object is, or will be, one that devbox made of dir.
func mine(now *metav1.PartialObjectMetadata, dir string) (bool, error) {
	if dir == "" {
		return false, nil
	}
	if now == nil || now.Labels[OwnerLabel] == Owner(dir) {
		return true, nil
	}
	other := now.Annotations[DirectoryAnnotation]
	if now.Labels[OwnerLabel] == "" || other == "" {
		return false, nil
	}
	if _, err := os.Stat(other); errors.Is(err, os.ErrNotExist) {
		return true, nil // the directory has moved
	}
	return false, fmt.Errorf("it is applied from %s: give one of them another name", other)
}

// replaced says whether objects of a kind are made anew to be changed.
func replaced(u *unstructured.Unstructured) bool {
	kind := u.GroupVersionKind().GroupKind()
	return kind == schema.GroupKind{Kind: "Pod"} || kind == schema.GroupKind{Group: "batch", Kind: "Job"}
}

func isService(u *unstructured.Unstructured) bool {
	kind := u.GroupVersionKind()
	return kind.GroupVersion() == servingv1.GroupVersion && kind.Kind == "Service"
}

// clear deletes an object and waits until it is gone.
func (d *Deployer) clear(ctx context.Context, now *metav1.PartialObjectMetadata) error {
	if err := d.delete(ctx, now); err != nil {
		return err
	}
	err := wait.PollUntilContextCancel(ctx, followEvery, true, func(ctx context.Context) (bool, error) {
		err := d.client.Get(ctx, client.ObjectKeyFromObject(now), now.DeepCopy())
		return apierrors.IsNotFound(err), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the one before to end: %w", err)
	}
	return nil
}

// delete deletes exactly the object that was seen, with what it has made.
func (d *Deployer) delete(ctx context.Context, o *metav1.PartialObjectMetadata) error {
	uid := o.UID
	err := again(ctx, func() error {
		return d.client.Delete(ctx, o, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// with is labels or annotations with one more.
func with(m map[string]string, key, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[key] = value
	return m
}

func sumOf(u *unstructured.Unstructured) (string, error) {
	data, err := u.MarshalJSON()
	if err != nil {
		return "", fmt.Errorf("encoding it: %w", err)
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}
