package parts

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/kind-in-a-box/devbox/bootstrap"
)

// TestNamespace: the parts' namespace is made, found again and removed; one of
// somebody else's is neither used nor removed.
func TestNamespace(t *testing.T) {
	clients := fake.NewClientset()
	for range 2 {
		if err := claim(t.Context(), clients); err != nil {
			t.Fatal(err)
		}
	}
	namespaces := clients.CoreV1().Namespaces()
	for range 2 {
		if err := release(t.Context(), clients); err != nil {
			t.Fatal(err)
		}
		if _, err := namespaces.Get(t.Context(), bootstrap.WatchNamespace, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			t.Errorf("it is still there: %v", err)
		}
	}

	theirs := fake.NewClientset(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: bootstrap.WatchNamespace}})
	err := claim(t.Context(), theirs)
	if failed, ok := errors.AsType[*bootstrap.ClusterError](err); !ok || failed.Hint == "" {
		t.Errorf("somebody's namespace: %v", err)
	}
	if err := release(t.Context(), theirs); err != nil {
		t.Error(err)
	}
	if _, err := theirs.CoreV1().Namespaces().Get(t.Context(), bootstrap.WatchNamespace, metav1.GetOptions{}); err != nil {
		t.Errorf("somebody's namespace is gone: %v", err)
	}
}
