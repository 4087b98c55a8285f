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

// sidecarTokens keep the tokens that sidecars show istiod. In a volume, as
// Istio has it, a token costs every start 300 ms (see withoutToken of
// serving/desired). So it is kept in a Secret, one for a service account, from
// which the sidecar has it as a variable.
type sidecarTokens struct {
	client client.Client // not of the cache, which would hold every Secret of the cluster
	now    func() time.Time
}

// keep sees to it that a sidecar of rev's pods finds a token that will do.
func (t *sidecarTokens) keep(ctx context.Context, rev *servingv1.Revision) error {
	if t == nil {
		return nil
	}
	account := cmp.Or(rev.Spec.ServiceAccountName, "default")
	if err := t.token(ctx, rev.Namespace, account); err != nil {
		return fmt.Errorf("keeping the token of sidecars of %s/%s: %w", rev.Namespace, account, err)
	}
	return nil
}

// token sees to it that the Secret of an account has a token that will do. The
// token is bound to the Secret, and worth nothing once that is deleted.
func (t *sidecarTokens) token(ctx context.Context, namespace, account string) error {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: desired.TokenSecret(account)}
	err := t.client.Get(ctx, key, secret)
	if apierrors.IsNotFound(err) {
		secret.Namespace, secret.Name = key.Namespace, key.Name
		secret.Labels = map[string]string{"app.kubernetes.io/part-of": "devbox"}
		err = t.client.Create(ctx, secret, fieldOwner)
		if apierrors.IsAlreadyExists(err) { // by another revision's reconcile
			err = t.client.Get(ctx, key, secret)
		}
	}
	if err != nil || t.lasts(secret) {
		return err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{tokenAudience}, ExpirationSeconds: new(int64(tokenLife.Seconds())),
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Secret", Name: secret.Name, UID: secret.UID},
	}}
	of := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: account}}
	if err := t.client.SubResource("token").Create(ctx, of, request); err != nil {
		return err
	}
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, tokenExpires, request.Status.ExpirationTimestamp.UTC().Format(time.RFC3339))
	secret.Data = map[string][]byte{tokenKey: []byte(request.Status.Token)}
	err = t.client.Update(ctx, secret, fieldOwner)
	if apierrors.IsConflict(err) { // another reconcile has just done the same
		return nil
	}
	return err
}

// lasts is whether a Secret has a token with half of its life before it.
func (t *sidecarTokens) lasts(secret *corev1.Secret) bool {
	until, err := time.Parse(time.RFC3339, secret.Annotations[tokenExpires])
	return err == nil && len(secret.Data[tokenKey]) > 0 && t.now().Add(tokenLife/2).Before(until)
}
