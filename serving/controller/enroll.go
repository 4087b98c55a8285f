package controller

import (
	"cmp"
	"context"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

const (
	tokenKey      = "token"              // of the Secret, as the sidecar's template names it
	tokenExpires  = "devbox.dev/expires" // the Secret's annotation, in RFC 3339
	tokenAudience = "istio-ca"           // istiod takes no other, and nobody else this one

	// tokenLife is a year: a sidecar shows its token at each renewal of its
	// certificate, twice a day for as long as its pod lives, and cannot be
	// given another. A pod has half of it before it at the least.
	tokenLife = 365 * 24 * time.Hour
)

// enroller lets pods into Istio's mesh. A sidecar shows istiod a token of its
// pod's service account. In a volume, as Istio has it, that token costs every
// start 300 ms (see withoutToken of serving/desired). So it is kept in a
// Secret, one for an account, from which the sidecar has it as a variable.
type enroller struct {
	namespaces client.Reader // from the cache
	live       client.Client // not from the cache, which would hold every Secret of the cluster
	now        func() time.Time
}

// newEnroller returns the enroller of a cluster with Istio.
func newEnroller(mgr manager.Manager) (*enroller, error) {
	live, err := client.New(mgr.GetConfig(), client.Options{
		HTTPClient: mgr.GetHTTPClient(), Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(),
	})
	if err != nil {
		return nil, fmt.Errorf("making a client for the tokens of sidecars: %w", err)
	}
	return &enroller{mgr.GetClient(), live, time.Now}, nil
}

// enroll sees to it that pods of rev can have a sidecar, and says whether they
// will. Nobody does in a cluster without Istio, whose enroller is nil.
func (e *enroller) enroll(ctx context.Context, rev *servingv1.Revision) (bool, error) {
	if e == nil {
		return false, nil
	}
	var ns corev1.Namespace
	if err := e.namespaces.Get(ctx, client.ObjectKey{Name: rev.Namespace}, &ns, glance); err != nil {
		return false, fmt.Errorf("reading namespace %s: %w", rev.Namespace, err)
	}
	if !desired.Injected(ns.Labels, rev) {
		return false, nil
	}
	account := cmp.Or(rev.Spec.ServiceAccountName, "default")
	if err := e.token(ctx, rev.Namespace, account); err != nil {
		return false, fmt.Errorf("keeping the token of sidecars of %s/%s: %w", rev.Namespace, account, err)
	}
	return true, nil
}

// token sees to it that the Secret of an account has a token that will do. The
// token is bound to the Secret, and worth nothing once that is deleted.
func (e *enroller) token(ctx context.Context, namespace, account string) error {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: desired.TokenSecret(account)}
	err := e.live.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		secret.Namespace, secret.Name = key.Namespace, key.Name
		secret.Labels = map[string]string{"app.kubernetes.io/part-of": "devbox"}
		err = e.live.Create(ctx, secret, fieldOwner)
		if apierrors.IsAlreadyExists(err) { // by another revision's reconcile
			err = e.live.Get(ctx, key, secret)
		}
	}
	if err != nil || e.lasts(secret) {
		return err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{tokenAudience}, ExpirationSeconds: new(int64(tokenLife.Seconds())),
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
	}}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := e.live.SubResource("token").Create(ctx, of, request); err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, tokenExpires, request.Status.ExpirationTimestamp.UTC().Format(time.RFC3339))
	secret.Data = map[string][]byte{tokenKey: []byte(request.Status.Token)}
	err = e.live.Update(ctx, secret, fieldOwner)
	if apierrors.IsConflict(err) { // another reconcile has just done the same
		return nil
	}
	return err
}

// lasts is whether a Secret has a token with half of its life before it.
func (e *enroller) lasts(secret *corev1.Secret) bool {
	until, err := time.Parse(time.RFC3339, secret.Annotations[tokenExpires])
	return err == nil && len(secret.Data[tokenKey]) > 0 && e.now().Add(tokenLife/2).Before(until)
}
