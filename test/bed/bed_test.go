package bed_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

func service(namespace, image string) *servingv1.Service {
	s := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "hello"}}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: image}}
	return s
}

func TestKindsAreServed(t *testing.T) {
	b := bed.Start(t)
	made := service(b.Namespace(t), "localhost:5001/hello")
	if err := b.Client().Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	var read servingv1.Service
	if err := b.Client().Get(t.Context(), client.ObjectKeyFromObject(made), &read); err != nil {
		t.Fatal(err)
	}
	if got := read.Spec.Template.Spec.Containers[0].Image; got != "localhost:5001/hello" {
		t.Errorf("read the image %q", got)
	}
}

func TestServerSideApply(t *testing.T) {
	b := bed.Start(t)
	s := service(b.Namespace(t), "one")
	s.APIVersion, s.Kind = servingv1.GroupVersion.String(), "Service"
	for _, image := range []string{"one", "two", "two"} {
		s.ManagedFields, s.ResourceVersion = nil, ""
		s.Spec.Template.Spec.Containers[0].Image = image
		//nolint:staticcheck // there are no generated apply configurations for our kinds
		if err := b.Client().Patch(t.Context(), s, client.Apply, client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
		if got := s.Spec.Template.Spec.Containers[0].Image; got != image {
			t.Errorf("applied the image %q, have %q", image, got)
		}
	}
	if s.Generation != 2 {
		t.Errorf("generation %d after one change, want 2", s.Generation)
	}
}

func TestSchemaIsEnforced(t *testing.T) {
	b := bed.Start(t)
	bad := service(b.Namespace(t), "hello")
	limit := int64(-1)
	bad.Spec.Template.Spec.ContainerConcurrency = &limit
	err := b.Client().Create(t.Context(), bad)
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.template.spec.containerConcurrency") {
		t.Errorf("got %v, want an error that names the field", err)
	}
}

func TestNamespaces(t *testing.T) {
	b := bed.Start(t)
	first, second := b.Namespace(t), b.Namespace(t)
	if first == second || !strings.HasPrefix(first, "testnamespaces-") {
		t.Errorf("got the namespaces %q and %q", first, second)
	}
	t.Run("a name, with (odd) characters, and quite a length of them, really", func(t *testing.T) {
		inner := b.Namespace(t)
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: inner, Name: "p"}}
		pod.Spec.Containers = []corev1.Container{{Name: "c", Image: "i"}}
		if err := b.Client().Create(t.Context(), pod); err != nil {
			t.Error(err)
		}
	})
}
