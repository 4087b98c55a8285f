package helm

import (
	"context"
	"errors"
	"maps"
	"testing"
	"testing/fstest"
	"time"

	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

// twoMaps is a chart of two ConfigMaps that hold the value "greeting".
var twoMaps = fstest.MapFS{
	"Chart.yaml": {Data: []byte("apiVersion: v2\nname: maps\nversion: 0.1.0\n")},
	"templates/maps.yaml": {Data: []byte(`{{- range list "one" "two" }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ . }}, namespace: {{ $.Release.Namespace }}}
data: {greeting: {{ $.Values.greeting }}}
{{- end }}
`)},
}

// cluster is a namespace of a real API server with a Client for it.
type cluster struct {
	*testing.T
	helm      *Client
	clients   kubernetes.Interface
	namespace string
}

func start(t *testing.T) cluster {
	t.Helper()
	b := bed.Start(t)
	helm, err := New(b.REST())
	if err != nil {
		t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(b.REST())
	if err != nil {
		t.Fatal(err)
	}
	return cluster{t, helm, clients, b.Namespace(t)}
}

func (c cluster) release(greeting string) Release {
	return Release{Name: "maps", Namespace: c.namespace, Chart: twoMaps, Values: map[string]any{"greeting": greeting}}
}

// apply applies the chart and checks what Apply says and what is there then.
func (c cluster) apply(why, greeting string, changed bool) {
	c.Helper()
	got, err := c.helm.Apply(c.Context(), c.release(greeting))
	if err != nil || got != changed {
		c.Errorf("%s: got %v, %v, want %v", why, got, err, changed)
	}
	for _, name := range []string{"one", "two"} {
		m, err := c.clients.CoreV1().ConfigMaps(c.namespace).Get(c.Context(), name, metav1.GetOptions{})
		if err != nil || !maps.Equal(m.Data, map[string]string{"greeting": greeting}) {
			c.Errorf("%s: %s holds %v, %v, want %s", why, name, m.Data, err, greeting)
		}
	}
}

func (c cluster) records() *action.Configuration {
	c.Helper()
	cfg := new(action.Configuration)
	if err := cfg.Init(c.helm.cluster.in(c.namespace), c.namespace, "secret", quiet); err != nil {
		c.Fatal(err)
	}
	return cfg
}

// cutOff makes the last record what an interruption leaves.
func (c cluster) cutOff(status release.Status) {
	c.Helper()
	cfg := c.records()
	last, err := cfg.Releases.Last("maps")
	if err != nil {
		c.Fatal(err)
	}
	last.Info.Status = status
	if err := cfg.Releases.Update(last); err != nil {
		c.Fatal(err)
	}
}

func (c cluster) remove(name string) {
	c.Helper()
	if err := c.clients.CoreV1().ConfigMaps(c.namespace).Delete(c.Context(), name, metav1.DeleteOptions{}); err != nil {
		c.Fatal(err)
	}
}

func TestApply(t *testing.T) {
	c := start(t)
	c.apply("new", "hello", true)
	c.apply("again", "hello", false)
	c.apply("other values", "bye", true)
	c.apply("again", "bye", false)
	c.remove("two")
	c.apply("an object was removed", "bye", true)
}

// TestApplyKeepsWhatPeopleAdd to an object of the chart's.
func TestApplyKeepsWhatPeopleAdd(t *testing.T) {
	c := start(t)
	c.apply("new", "hello", true)
	theirs := []byte(`{"data":{"more":"mine"}}`)
	if _, err := c.clients.CoreV1().ConfigMaps(c.namespace).Patch(t.Context(), "one", types.MergePatchType, theirs, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.helm.Apply(t.Context(), c.release("bye")); err != nil {
		t.Fatal(err)
	}
	m, err := c.clients.CoreV1().ConfigMaps(c.namespace).Get(t.Context(), "one", metav1.GetOptions{})
	if want := map[string]string{"greeting": "bye", "more": "mine"}; err != nil || !maps.Equal(m.Data, want) {
		t.Errorf("it holds %v, %v; want %v", m.Data, err, want)
	}
}

func TestApplyRepairsWhatWasCutOff(t *testing.T) {
	for _, status := range []release.Status{release.StatusPendingInstall, release.StatusFailed, release.StatusUninstalling} {
		t.Run("install "+status.String(), func(t *testing.T) {
			c := start(t)
			c.apply("new", "hello", true)
			c.cutOff(status)
			c.remove("two")
			c.apply("cut off", "hello", true)
			c.apply("again", "hello", false)
		})
	}
	for _, status := range []release.Status{release.StatusPendingUpgrade, release.StatusPendingRollback, release.StatusFailed} {
		t.Run("upgrade "+status.String(), func(t *testing.T) {
			c := start(t)
			c.apply("new", "hello", true)
			c.apply("other values", "bye", true)
			c.cutOff(status)
			c.apply("cut off", "bye", true)
			c.apply("again", "bye", false)
		})
	}
}

func TestAwaitKinds(t *testing.T) {
	c := start(t)
	served := schema.GroupVersionResource{Group: "serving.knative.dev", Version: "v1", Resource: "services"}
	if err := c.helm.AwaitKinds(t.Context(), served); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := c.helm.AwaitKinds(ctx, schema.GroupVersionResource{Group: "none.example.com", Version: "v1", Resource: "nothings"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want %v", err, context.DeadlineExceeded)
	}
}

func TestApplyAdoptsWhatIsThere(t *testing.T) {
	c := start(t)
	_, err := c.clients.CoreV1().ConfigMaps(c.namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "one"}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	c.apply("one was there", "hello", true)
}
