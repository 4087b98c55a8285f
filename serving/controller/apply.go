package controller

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldOwner is the one field owner of everything the controller applies.
const fieldOwner = client.FieldOwner("devbox-controller")

// errNotOwned says that a child's name is taken by somebody else's object.
var errNotOwned = errors.New("exists and is not owned by this object")

// applier brings children to their desired state by server-side apply.
//
// It asks the server only when there is something to ask: it remembers what
// it applied and what came of it, and while neither what is desired nor what
// is there has changed, an apply is a read from the cache.
type applier struct {
	client client.Client // reads from the cache
	live   client.Reader // reads from the server
	seen   *lru.Cache    // by child: fingerprint of the last apply
}

type child struct {
	kind schema.GroupVersionKind
	key  types.NamespacedName
}

// fingerprint is what was applied and what the object was after that.
type fingerprint struct{ desired, actual [sha256.Size]byte }

func newApplier(c client.Client, live client.Reader) *applier {
	return &applier{client: c, live: live, seen: lru.New(8192)}
}

// apply makes the child in the cluster what desired says, leaving alone what
// desired does not mention, and returns what is there then. Desired names its
// kind and its controller owner.
func apply[T client.Object](ctx context.Context, a *applier, desired T) (T, error) {
	id := child{desired.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(desired)}
	current, err := a.current(ctx, id)
	if err != nil {
		return desired, err
	}
	if current != nil && !sameController(current, desired) {
		return desired, fmt.Errorf("%s %q %w", id.kind.Kind, id.key.Name, errNotOwned)
	}
	body, err := applyBody(desired)
	if err != nil {
		return desired, fmt.Errorf("encoding %s %s: %w", id.kind.Kind, id.key, err)
	}
	want := sha256.Sum256(body)
	if unchanged, ok := current.(T); ok {
		if seen, ok := a.seen.Get(id); ok && seen == (fingerprint{want, digest(current, id.kind)}) {
			return unchanged, nil
		}
	}

	// Client.Apply takes typed configurations, which our kinds have not, or
	// unstructured ones, which would start a second cache of the kind to
	// read our own writes from. A patch with a typed result is the same
	// request.
	if err := a.client.Patch(ctx, desired, client.RawPatch(types.ApplyPatchType, body), fieldOwner, client.ForceOwnership); err != nil {
		return desired, fmt.Errorf("applying %s %s: %w", id.kind.Kind, id.key, err)
	}
	a.seen.Add(id, fingerprint{want, digest(desired, id.kind)})
	return desired, nil
}

// current is the child as it is now, or nil where there is none. The cache
// keeps only what the controller has labelled, so what is not in it may still
// be there, and somebody else's.
func (a *applier) current(ctx context.Context, id child) (client.Object, error) {
	obj, err := a.client.Scheme().New(id.kind)
	if err != nil {
		return nil, fmt.Errorf("making an empty %s: %w", id.kind.Kind, err)
	}
	current, ok := obj.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not the kind of an object", id.kind.Kind)
	}
	err = a.client.Get(ctx, id.key, current)
	if apierrors.IsNotFound(err) {
		err = a.live.Get(ctx, id.key, current)
	}
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading %s %s: %w", id.kind.Kind, id.key, err)
	}
	return current, nil
}

// patchStatus writes the difference between before's and after's status, if
// there is one. It is a merge patch without a resource version: the status
// has one writer, so there is nothing to conflict with.
func (a *applier) patchStatus(ctx context.Context, before, after client.Object) error {
	patch := client.MergeFrom(before)
	data, err := patch.Data(after)
	if err != nil {
		return fmt.Errorf("comparing status: %w", err)
	}
	if string(data) == "{}" {
		return nil
	}
	if err := a.client.Status().Patch(ctx, after, patch, fieldOwner); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("patching status: %w", err)
	}
	return nil
}

// publishStatus is patchStatus for an object whose status is going to change
// further: before is then what the server has now.
func publishStatus[T interface {
	client.Object
	DeepCopyInto(T)
}](ctx context.Context, a *applier, before, after T) error {
	if err := a.patchStatus(ctx, before, after); err != nil {
		return err
	}
	after.DeepCopyInto(before)
	return nil
}

// applyBody is obj as a server-side apply says it: what obj does not set is
// absent, and status is not spoken of.
func applyBody(obj client.Object) ([]byte, error) {
	data, err := json.Marshal(obj)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, err
	}
	delete(fields, "status")
	return json.Marshal(fields)
}

// digest stands for everything of obj that an apply could change: not its
// status, nor what the server counts.
func digest(obj client.Object, kind schema.GroupVersionKind) [sha256.Size]byte {
	bare, ok := obj.DeepCopyObject().(client.Object)
	if !ok {
		return [sha256.Size]byte{}
	}
	bare.GetObjectKind().SetGroupVersionKind(kind)
	bare.SetResourceVersion("")
	bare.SetGeneration(0)
	bare.SetManagedFields(nil)
	body, err := applyBody(bare)
	if err != nil {
		return [sha256.Size]byte{}
	}
	return sha256.Sum256(body)
}

func sameController(a, b client.Object) bool {
	x, y := metav1.GetControllerOf(a), metav1.GetControllerOf(b)
	return x != nil && y != nil && x.UID == y.UID
}
