package controller

import (
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
)

// A sidecar finds a token that istiod takes and nobody else.
func TestSidecarTokens(t *testing.T) {
	w := newWorld(t)
	tokens := &sidecarTokens{w.Client, time.Now}
	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "hello-00001"}}
	w.account("default")

	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: desired.TokenSecret("default")}}
	read := func() string {
		t.Helper()
		if err := tokens.keep(t.Context(), rev); err != nil {
			t.Fatal(err)
		}
		if err := w.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
			t.Fatal(err)
		}
		return string(secret.Data["token"])
	}
	first := read()
	if got := w.user(first, "istio-ca"); got != "system:serviceaccount:"+w.namespace+":default" {
		t.Errorf("for istiod the token is of %q", got)
	}
	if got := w.user(first, ""); got != "" {
		t.Errorf("for the API server the token is of %q, and should be worth nothing", got)
	}
	if read() != first {
		t.Error("a token that lasts was replaced")
	}
	tokens.now = func() time.Time { return time.Now().Add(tokenLife/2 + time.Hour) }
	if read() == first {
		t.Error("a token with less than half of its life before it was kept")
	}
}

// user is whose token it is to somebody of that name, "" if nobody's.
func (w *world) user(token, audience string) string {
	w.Helper()
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token}}
	if audience != "" {
		review.Spec.Audiences = []string{audience}
	}
	if err := w.Create(w.Context(), review); err != nil {
		w.Fatal(err)
	}
	if !review.Status.Authenticated {
		return ""
	}
	return review.Status.User.Username
}
