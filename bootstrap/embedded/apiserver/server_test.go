package apiserver

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is less than what the API server gives its clients by default, a
// minute.
const patience = 30 * time.Second

// start runs a Server on dir and returns what stops it.
func start(t *testing.T, dir string) (_ *Server, stop func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	began := time.Now()
	s, err := Start(ctx, Options{Dir: dir})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Log("ready after", time.Since(began).Round(time.Millisecond))
	stop = func() {
		cancel()
		ended := make(chan error, 1)
		go func() { ended <- s.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Wait: %v", err)
			}
		case <-time.After(patience):
			t.Error("it does not end, for it waits for its clients")
		}
	}
	return s, stop
}

// TestServer is one story, for a start is what costs.
func TestServer(t *testing.T) {
	dir := t.TempDir()
	s, stop := start(t, dir)
	t.Run("only who has the token gets in", func(t *testing.T) { knows(t, s) })
	t.Run("the files are for their owner", func(t *testing.T) { private(t, dir) })
	t.Run("the kubeconfig works", func(t *testing.T) { kubeconfig(t, s) })
	t.Run("a second server is refused", func(t *testing.T) { refused(t, dir) })
	t.Run("schemas and rules hold", func(t *testing.T) { validates(t, s) })
	t.Run("what is owned goes with its owner", func(t *testing.T) { collects(t, s) })
	t.Run("it asks a node for logs and nobody else may", func(t *testing.T) { asksNode(t, s) })
	t.Run("a namespace has a service account, and empties when it is deleted", func(t *testing.T) { empties(t, s) })
	configMap(t, s, "kept", nil)
	watched, err := clientset(t, s).CoreV1().ConfigMaps("default").Watch(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	stop()
	for range watched.ResultChan() { // until the server has ended it
	}

	interrupt(t, dir)
	again, stop := start(t, dir)
	defer stop()
	t.Run("a kind that was half-way is served", func(t *testing.T) { establishes(t, again) })
	kept, err := clientset(t, again).CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil || kept.Data["name"] != "kept" {
		t.Errorf("after a restart: %v, %v", kept, err)
	}
	if again.RESTConfig().BearerToken != s.RESTConfig().BearerToken {
		t.Error("a restart changed the token")
	}
}

func TestNewerDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "format"), []byte("99"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "newer devbox (format 99") {
		t.Errorf("got %v, want a refusal that names the newer devbox", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 { // format and lock
		t.Errorf("the directory was touched: %v, %v", files, err)
	}
}

func TestStartIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, Options{Dir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

// TestEndBeforeItIsReady: an etcd that ends before it knows itself to be a
// member is none the next time, and one that was ready is.
func TestEndBeforeItIsReady(t *testing.T) {
	o := Options{Dir: t.TempDir(), Log: io.Discard}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := startEtcd(over, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("with no time left: %v", err)
	}
	start := func() {
		t.Helper()
		e, err := startEtcd(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.stop(); err != nil {
			t.Error(err)
		}
	}
	start()
	witness := filepath.Join(o.Dir, "etcd", "witness")
	if err := os.WriteFile(witness, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	start()
	if _, err := os.Stat(witness); err != nil {
		t.Errorf("an etcd that was ready is founded anew: %v", err)
	}
}

func clientset(t *testing.T, s *Server) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(s.RESTConfig())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func knows(t *testing.T, s *Server) {
	for _, token := range []string{"", "wrong"} {
		config := rest.AnonymousClientConfig(s.RESTConfig())
		config.BearerToken = token
		c, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{})
		if apierrors.ReasonForError(err) != metav1.StatusReasonUnauthorized {
			t.Errorf("with the token %q: %v, want %d", token, err, http.StatusUnauthorized)
		}
	}
}

func private(t *testing.T, dir string) {
	for _, file := range []string{"server.key", "kubelet.key", "kubelet-client.key", "tokens.csv", "service-accounts.key", "kubeconfig"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v, want mode 0600", file, info, err)
		}
	}
}

func kubeconfig(t *testing.T, s *Server) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.CoreV1().Namespaces().Get(t.Context(), "kube-system", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

func refused(t *testing.T, dir string) {
	_, err := Start(t.Context(), Options{Dir: dir})
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want %v with the directory", err, ErrInUse)
	}
}

// validates installs a kind with a schema and a rule in CEL.
// interrupt makes what is stored of the kind what it is when a server dies
// between accepting and establishing it.
func interrupt(t *testing.T, dir string) {
	t.Helper()
	store, err := startEtcd(t.Context(), Options{Dir: dir, Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.stop(); err != nil {
			t.Error(err)
		}
	}()
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{store.endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // nothing is lost with it
	key := "/registry/apiextensions.k8s.io/customresourcedefinitions/" + kind().GetName()
	got, err := c.Get(t.Context(), key)
	if err != nil || len(got.Kvs) != 1 {
		t.Fatalf("reading %s: %v, %v", key, got, err)
	}
	crd := &unstructured.Unstructured{} // of whichever version it is stored in
	if err := json.Unmarshal(got.Kvs[0].Value, crd); err != nil {
		t.Fatal(err)
	}
	conditions, _, err := unstructured.NestedSlice(crd.Object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Established" {
			c["status"], c["reason"] = "False", "Installing"
		}
	}
	if err := unstructured.SetNestedSlice(crd.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	half, err := crd.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Put(t.Context(), key, string(half)); err != nil {
		t.Fatal(err)
	}
}

func establishes(t *testing.T, s *Server) {
	c, err := client.New(s.RESTConfig(), client.Options{Scheme: clientScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kind is served again", func() error {
		return c.Create(t.Context(), thing("again", 5))
	})
}

func validates(t *testing.T, s *Server) {
	scheme := clientScheme(t)
	c, err := client.New(s.RESTConfig(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), kind()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the kind is served", func() error {
		return c.Create(t.Context(), thing("good", 3))
	})
	err = c.Create(t.Context(), thing("bad", 4))
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "must be odd") {
		t.Errorf("got %v, want the rule's message", err)
	}
}

func configMap(t *testing.T, s *Server, name string, owner *corev1.ConfigMap) *corev1.ConfigMap {
	t.Helper()
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string]string{"name": name},
	}
	if owner != nil {
		object.OwnerReferences = []metav1.OwnerReference{
			{APIVersion: "v1", Kind: "ConfigMap", Name: owner.Name, UID: owner.UID},
		}
	}
	made, err := clientset(t, s).CoreV1().ConfigMaps("default").Create(t.Context(), object, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func collects(t *testing.T, s *Server) {
	owner := configMap(t, s, "owner", nil)
	configMap(t, s, "owned", owner)
	maps := clientset(t, s).CoreV1().ConfigMaps("default")
	if err := maps.Delete(t.Context(), "owner", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the owned object is gone", func() error {
		_, err := maps.Get(t.Context(), "owned", metav1.GetOptions{})
		return gone(err)
	})
}

func empties(t *testing.T, s *Server) {
	c := clientset(t, s).CoreV1()
	space := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
	if _, err := c.Namespaces().Create(t.Context(), space, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace has a service account", func() error {
		_, err := c.ServiceAccounts(space.Name).Get(t.Context(), "default", metav1.GetOptions{})
		return err
	})
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "inside"}}
	if _, err := c.ConfigMaps(space.Name).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Namespaces().Delete(t.Context(), space.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the namespace is gone", func() error {
		_, err := c.Namespaces().Get(t.Context(), space.Name, metav1.GetOptions{})
		return gone(err)
	})
}

// gone is nil when err says that something is not there.
func gone(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return errors.Join(errors.New("it is there"), err)
}

// eventually asks ten times a second until it gets no error.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	began := time.Now()
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			t.Logf("%s after %v", what, time.Since(began).Round(time.Millisecond))
			return
		}
		if time.Since(began) > 30*time.Second {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		<-poll.C
	}
}

func kind() *apiextensionsv1.CustomResourceDefinition {
	schema := apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{
		"size": {Type: "integer", XValidations: apiextensionsv1.ValidationRules{
			{Rule: "self % 2 == 1", Message: "must be odd"},
		}},
	}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.test.devbox.dev"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "test.devbox.dev",
			Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: "Thing"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &schema},
			}},
		},
	}
}

func thing(name string, size int64) client.Object {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "test.devbox.dev/v1",
		"kind":       "Thing",
		"metadata":   map[string]any{"name": name, "namespace": "default"},
		"size":       size,
	}}
}

func clientScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}
