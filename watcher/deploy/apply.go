package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Rollout is an Apply whose revision is to be waited for.
type Rollout struct {
	service  *servingv1.Service // as applied
	template string             // TemplateAnnotation's value
	host     string
	port     int32     // that the container is to listen on
	probed   bool      // by a readiness probe of the user's
	follows  bool      // the gateway is to switch to it
	failed   types.UID // of the revision that this one is another try of
	start    time.Time
}

// Apply makes the Service what the manifest says, with images, by import path,
// in the containers that run its Programs. Fields that others own and the
// manifest does not name stay as they are.
func (d *Deployer) Apply(ctx context.Context, manifest *servingv1.Service, own string, images map[string]string) (*Rollout, error) {
	s, err := withImages(manifest, own, images)
	if err != nil {
		return nil, err
	}
	return d.applyService(ctx, s)
}

// applyService makes the Service what s says.
func (d *Deployer) applyService(ctx context.Context, s *servingv1.Service) (*Rollout, error) {
	r := &Rollout{service: s, host: d.Host(s), start: time.Now()}
	r.listens(&s.Spec.Template.Spec)
	var err error
	if r.template, err = hash(s.Spec.Template); err != nil {
		return nil, fmt.Errorf("hashing the template of %s: %w", s.Name, err)
	}
	if s.Spec.Template.Annotations == nil {
		s.Spec.Template.Annotations = map[string]string{}
	}
	s.Spec.Template.Annotations[TemplateAnnotation] = r.template
	if len(s.Spec.Traffic) > 0 {
		if err := d.yield(ctx, s); err != nil {
			return nil, err
		}
	}
	u, err := object(s)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", s.Name, err)
	}
	if err := d.apply(ctx, u); err != nil {
		return nil, fmt.Errorf("applying the Service %s: %w", s.Name, err)
	}
	s.Generation = u.GetGeneration()
	if r.follows, err = inForce(u); err != nil {
		return nil, err
	}
	if r.failed, err = d.retry(ctx, u, r.template); err != nil {
		return nil, err
	}
	return r, nil
}

// yield takes the traffic out of what is to be applied while somebody holds it,
// and has it be what a release gives.
func (d *Deployer) yield(ctx context.Context, s *servingv1.Service) error {
	var now servingv1.Service
	err := again(ctx, func() error { return d.client.Get(ctx, client.ObjectKeyFromObject(s), &now) })
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the Service %s: %w", s.Name, err)
	}
	if !Held(&now) {
		return nil
	}
	said := s.Spec.Traffic
	s.Spec.Traffic = nil
	if err := remember(ctx, d.client, &now, said); err != nil {
		return fmt.Errorf("noting the traffic of %s, which is held: %w", s.Name, err)
	}
	return nil
}

// patience is for an API server that is busy or just starting: six tries in
// about six seconds.
var patience = wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Steps: 6}

// apply tries again while the API server is not to be reached or has no time.
// What it refuses is refused. A namespace that is not there is made: a box is
// new more often than a cluster, and nobody would make it first.
func (d *Deployer) apply(ctx context.Context, u *unstructured.Unstructured) error {
	strip(u)
	owner, isNew, err := d.claim(ctx, u)
	if err != nil {
		return err
	}
	options := []client.ApplyOption{owner}
	if !isNew {
		options = append(options, client.ForceOwnership)
	}
	put := func() error { return d.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), options...) }
	err = again(ctx, put)
	if isNew && apierrors.IsConflict(err) { // somebody has made one in between
		return d.apply(ctx, u)
	}
	if !lacksNamespace(err) || d.guest != nil { // a guest's is not his to make
		return err
	}
	if err := d.makeNamespace(ctx, u.GetNamespace()); err != nil {
		return err
	}
	return again(ctx, put)
}

// strip takes away what is an API server's to write.
func strip(u *unstructured.Unstructured) {
	delete(u.Object, "status")
	for _, field := range serversOwn {
		unstructured.RemoveNestedField(u.Object, "metadata", field)
	}
}

// serversOwn are the fields of metadata that an API server writes. A manifest
// that was exported from a cluster has that one's, by which this one would look
// for an object that is not here.
var serversOwn = []string{
	"uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds",
}

// again asks until the API server has an answer, or patience is at its end.
func again(ctx context.Context, ask func() error) error {
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, patience, func(context.Context) (bool, error) {
		last = ask()
		if passing(last) {
			return false, nil
		}
		return true, last
	})
	if err != nil && last != nil {
		return last
	}
	return err
}

// passing says whether an error is the API server's moment and not ours.
func passing(err error) bool {
	return err != nil && (utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsServiceUnavailable(err) || apierrors.IsInternalError(err))
}

// Refused says whether an error is that a description is wrong, by the API
// server's word or by ours, which no waiting mends.
func Refused(err error) bool {
	_, notYours := errors.AsType[*NotYoursError](err)
	return notYours || errors.Is(err, errElsewhere) || errors.Is(err, errNoContainer) || apierrors.ReasonForError(err) != metav1.StatusReasonUnknown && !passing(err)
}

// lacksNamespace says whether an error is that the object's namespace is not
// there.
func lacksNamespace(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && apierrors.IsNotFound(err) && status.Status().Details != nil && status.Status().Details.Kind == "namespaces"
}

// makeNamespace makes a namespace that an object names. It is nobody's in
// particular, so it goes with the box.
func (d *Deployer) makeNamespace(ctx context.Context, name string) error {
	err := d.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, fieldOwner)
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the namespace %s: %w", name, err)
	}
	return nil
}

func hash(t servingv1.RevisionTemplateSpec) (string, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8]), nil
}

// object is a Service as its author wrote it: without what Go's encoding adds
// to what is empty, which an apply would claim.
func object(s *servingv1.Service) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(s)
	if err != nil {
		return nil, err
	}
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	u := &unstructured.Unstructured{Object: content}
	u.SetGroupVersionKind(servingv1.Kind("Service"))
	return u, nil
}
