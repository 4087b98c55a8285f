package pullsecrets

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kind-in-a-box/devbox/test/imagetest"
)

const space = "shop"

// TestTry asks a registry that takes u with the password p or, since it was
// changed, q.
func TestTry(t *testing.T) {
	private, open := imagetest.Private(t, func(user, password string) bool { return user == "u" && (password == "p" || password == "q") })
	imagetest.Push(t, open+"/hello:v1", v1.Config{})
	image := private + "/hello:v1"

	secret := func(name, registry, password string) runtime.Object {
		return imagetest.PullSecret(space, name, registry, "u", password)
	}
	account := func(name string, secrets ...corev1.LocalObjectReference) runtime.Object {
		return &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: name}, ImagePullSecrets: secrets}
	}
	regcred, other := corev1.LocalObjectReference{Name: "regcred"}, corev1.LocalObjectReference{Name: "other"}
	bare := account("default")
	for name, c := range map[string]struct {
		there []runtime.Object
		pod   Pod
		want  []string // in the error; nil: there is none
	}{
		"the pod's":                         {[]runtime.Object{bare, secret("regcred", private, "p")}, Pod{Secrets: refs(regcred)}, nil},
		"the default account's":             {[]runtime.Object{account("default", regcred), secret("regcred", private, "p")}, Pod{}, nil},
		"a named account's":                 {[]runtime.Object{bare, account("robot", regcred), secret("regcred", private, "p")}, Pod{Account: "robot"}, nil},
		"the account's beside the pod's":    {[]runtime.Object{account("default", regcred), secret("regcred", private, "p"), secret("other", "example.com", "p")}, Pod{Secrets: refs(other)}, nil},
		"with a scheme and a path":          {[]runtime.Object{bare, secret("regcred", "http://"+private+"/v2/", "p")}, Pod{Secrets: refs(regcred)}, nil},
		"for the repository":                {[]runtime.Object{bare, secret("regcred", private+"/hello", "p")}, Pod{Secrets: refs(regcred)}, nil},
		"the second where the first is old": {[]runtime.Object{bare, secret("other", private, "old"), secret("regcred", private, "q")}, Pod{Secrets: refs(other, regcred)}, nil},
		"none": {[]runtime.Object{bare}, Pod{},
			[]string{"registry " + private + " answers 401 Unauthorized to a request without credentials: no Secret in imagePullSecrets"}},
		"another registry's": {[]runtime.Object{bare, secret("regcred", "example.com", "p")}, Pod{Secrets: refs(regcred)},
			[]string{"to a request without credentials: no Secret in imagePullSecrets"}},
		"wrong": {[]runtime.Object{bare, secret("regcred", private, "old")}, Pod{Secrets: refs(regcred)},
			[]string{"answers 401 Unauthorized to the credentials of Secret regcred"}},
		"missing":             {[]runtime.Object{bare}, Pod{Secrets: refs(regcred)}, []string{`there is no Secret "regcred" in namespace shop`}},
		"no docker secret":    {[]runtime.Object{bare, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: space, Name: "regcred"}}}, Pod{Secrets: refs(regcred)}, []string{`Secret "regcred" of namespace shop has no .dockerconfigjson`}},
		"a missing account":   {nil, Pod{Account: "robot"}, []string{`there is no ServiceAccount "robot" in namespace shop`}},
		"another namespace's": {[]runtime.Object{bare, imagetest.PullSecret("default", "regcred", private, "u", "p")}, Pod{Secrets: refs(regcred)}, []string{`there is no Secret "regcred" in namespace shop`}},
	} {
		t.Run(name, func(t *testing.T) {
			c.pod.Namespace = space
			credentials, err := Read(t.Context(), fake.NewClientset(c.there...).CoreV1(), c.pod)
			if err != nil {
				t.Fatal(err)
			}
			err = credentials.Try(image, head(t, image))
			if len(c.want) == 0 && err != nil {
				t.Errorf("got %v", err)
			}
			for _, want := range c.want {
				if refused := new(RefusedError); !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want a refusal with %q", err, want)
				}
			}
		})
	}
}

// TestDockerHub has credentials by each of the names that it goes by.
func TestDockerHub(t *testing.T) {
	for _, registry := range []string{"https://index.docker.io/v1/", "docker.io", "index.docker.io"} {
		secret := imagetest.PullSecret(space, "hub", registry, "u", "p")
		credentials, err := Read(t.Context(), fake.NewClientset(secret).CoreV1(), Pod{Namespace: space, Secrets: refs(corev1.LocalObjectReference{Name: "hub"})})
		if err != nil {
			t.Fatal(err)
		}
		var users []string
		err = credentials.Try("me/hello", func(auth authn.Keychain) error {
			a, err := auth.Resolve(nil)
			if err != nil {
				return err
			}
			config, err := a.Authorization()
			users = append(users, config.Username)
			return err
		})
		if err != nil || !slices.Equal(users, []string{"u"}) {
			t.Errorf("%s: asked as %q, %v", registry, users, err)
		}
	}
}

// TestOtherErrors are not taken for a refusal.
func TestOtherErrors(t *testing.T) {
	image := imagetest.Registry(t) + "/missing:v1"
	credentials, err := Read(t.Context(), fake.NewClientset().CoreV1(), Pod{Namespace: space})
	if err != nil {
		t.Fatal(err)
	}
	err = credentials.Try(image, head(t, image))
	if refused := new(RefusedError); err == nil || errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}
}

func refs(all ...corev1.LocalObjectReference) []corev1.LocalObjectReference { return all }

func head(t *testing.T, image string) func(authn.Keychain) error {
	ref, err := name.ParseReference(image)
	if err != nil {
		t.Fatal(err)
	}
	return func(auth authn.Keychain) error {
		_, err := remote.Head(ref, remote.WithContext(t.Context()), remote.WithAuthFromKeychain(auth))
		return err
	}
}
