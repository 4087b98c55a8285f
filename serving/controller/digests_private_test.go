package controller

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/imagetest"
)

// TestPrivateImage has a tag resolved by the credentials of its revision's pods
// and of their service account, as they are when the registry is asked again.
func TestPrivateImage(t *testing.T) {
	w := newWorld(t)
	private, open := imagetest.Private(t, func(user, password string) bool { return user == "u" && password == "p" })
	pushed := imagetest.Push(t, open+"/hello:v1", v1.Config{})
	_, digest, _ := strings.Cut(pushed, "@")
	image, want := private+"/hello:v1", private+"/hello@"+digest
	d := w.revisions.digests
	now := time.Now()
	d.now = func() time.Time { return now }
	rang := start(t, d)

	rev := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "priv-00001"}}
	ask := func() (string, error) {
		t.Helper()
		now = now.Add(digestRetry)
		if _, known, _ := d.of(t.Context(), rev, image); known {
			t.Fatal("the registry was not asked again")
		}
		<-rang
		got, _, err := d.of(t.Context(), rev, image)
		return got, err
	}
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), "registry "+private+" answers 401 Unauthorized to a request without credentials") {
		t.Errorf("without credentials: %v", err)
	}
	rev.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "regcred"}}
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), `there is no Secret "regcred"`) {
		t.Errorf("before the secret is there: %v", err)
	}
	secret := imagetest.PullSecret(w.namespace, "regcred", private, "u", "wrong")
	if err := w.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if _, err := ask(); err == nil || !strings.Contains(err.Error(), "to the credentials of Secret regcred") {
		t.Errorf("with a wrong password: %v", err)
	}
	secret.Data = imagetest.PullSecret("", "", private, "u", "p").Data
	if err := w.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	if got, err := ask(); got != want {
		t.Errorf("with the right password: %q, %v, want %q", got, err, want)
	}

	d.forget(rev.UID)
	rev.Spec.ImagePullSecrets = nil
	w.nameOn("default", "regcred")
	if got, err := ask(); got != want {
		t.Errorf("by the account default: %q, %v, want %q", got, err, want)
	}
}

// nameOn has a service account name a Secret.
func (w *world) nameOn(account, secret string) {
	w.Helper()
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"imagePullSecrets":[{"name":"`+secret+`"}]}`))
	if err := w.Patch(w.Context(), w.account(account), patch); err != nil {
		w.Fatal(err)
	}
}

// account sees to it that there is a service account; default is made by the
// server's controllers, if not yet then in a moment.
func (w *world) account(name string) *corev1.ServiceAccount {
	w.Helper()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: name}}
	if err := w.Create(w.Context(), sa); err != nil && !apierrors.IsAlreadyExists(err) {
		w.Fatal(err)
	}
	return sa
}
