package controller

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/kind-in-a-box/devbox/test/bed"
)

// TestReadsBehind writes while the cache has no watch, and reads what it wrote.
func TestReadsBehind(t *testing.T) {
	b := bed.Start(t)
	namespace := b.Namespace(t)
	seen, err := cache.New(b.REST(), cache.Options{Scheme: b.Scheme(), DefaultNamespaces: map[string]cache.Config{namespace: {}}})
	if err != nil {
		t.Fatal(err)
	}
	watching, lose := context.WithCancel(t.Context())
	lost := make(chan error, 1)
	go func() { lost <- seen.Start(watching) }()
	c, err := newClient(b.REST(), client.Options{
		Scheme: b.Scheme(), Cache: &client.CacheOptions{Reader: seen, EnableReadYourWritesConsistency: new(true)},
	})
	if err != nil {
		t.Fatal(err)
	}
	kept := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "kept"}}
	gone := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "gone"}}
	for _, obj := range []client.Object{kept, gone} {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatalf("with a watch: %v", err)
		}
	}
	lose()
	if err := <-lost; err != nil {
		t.Fatal(err)
	}
	kept.Data = map[string]string{"written": "without a watch"}
	if err := c.Update(t.Context(), kept); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	var got corev1.ConfigMap
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(kept), &got); err != nil || got.Data["written"] == "" {
		t.Errorf("Get = %v, %v, want what was written", got.Data, err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(gone), &got); client.IgnoreNotFound(err) != nil || err == nil {
		t.Errorf("Get of what was deleted = %v", err)
	}
	var all corev1.ConfigMapList
	if err := c.List(t.Context(), &all, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for _, one := range all.Items {
		if one.Name == gone.Name || one.Name == kept.Name && one.Data["written"] == "" {
			t.Errorf("List has %s as it was: %v", one.Name, one.Data)
		}
	}
}
