package controller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/mesh"
)

// label labels the world's namespace; "" takes the label away.
func (w *world) label(key, value string) {
	w.Helper()
	var namespace corev1.Namespace
	if err := w.Get(w.Context(), client.ObjectKey{Name: w.namespace}, &namespace); err != nil {
		w.Fatal(err)
	}
	if namespace.Labels == nil {
		namespace.Labels = map[string]string{}
	}
	if namespace.Labels[key] = value; value == "" {
		delete(namespace.Labels, key)
	}
	if err := w.Update(w.Context(), &namespace); err != nil {
		w.Fatal(err)
	}
	w.settle()
}

// inject is Istio's injector, as far as it can be seen, for pods that were to
// get a sidecar.
func (w *world) inject(revision string) {
	w.Helper()
	for _, pod := range w.pods(revision) {
		if pod.Labels[servingv1.MeshLabel] == "" || pod.Labels[mesh.TLSModeLabel] != "" {
			continue
		}
		pod.Labels[mesh.TLSModeLabel] = mesh.TLSModeIstio
		if err := w.Update(w.Context(), pod); err != nil {
			w.Fatal(err)
		}
	}
	w.settle()
}

// shape is how many of a revision's pods were to get a sidecar, and how many
// were not.
func (w *world) shape(revision string) [2]int {
	w.Helper()
	var n [2]int
	for _, pod := range w.pods(revision) {
		if pod.Labels[servingv1.MeshLabel] == servingv1.MeshSidecar {
			n[0]++
		} else {
			n[1]++
		}
	}
	return n
}

// TestPodsAreReplacedWhenTheNamespaceChanges: a new pod first, and an old one
// goes when the new one answers.
func TestPodsAreReplacedWhenTheNamespaceChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.wanted.pods["hello-00001"] = 2
	w.live("hello", "devbox.local/hello:1", "hello-00001")
	w.expect("pods", w.shape("hello-00001"), [2]int{0, 2})

	w.label("istio-injection", "enabled")
	w.expect("pods after the label came", w.shape("hello-00001"), [2]int{1, 2})
	w.inject("hello-00001")
	w.activator("hello-00001")
	w.expect("pods after the first new one answers", w.shape("hello-00001"), [2]int{2, 1})
	w.inject("hello-00001")
	w.activator("hello-00001")
	w.expect("pods after both new ones answer", w.shape("hello-00001"), [2]int{2, 0})
	if rev := get(w, &servingv1.Revision{}, "hello-00001"); !rev.IsReady() {
		t.Errorf("the revision is not ready: %+v", rev.Status.Conditions)
	}

	w.label("istio-injection", "")
	w.activator("hello-00001")
	w.activator("hello-00001")
	w.expect("pods after the label has gone", w.shape("hello-00001"), [2]int{0, 2})
}

// TestATemplateThatSaysItself: what the namespace says changes nothing for it.
func TestATemplateThatSaysItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	says := func(value string) func(*servingv1.Service) {
		return func(s *servingv1.Service) {
			s.Spec.Template.Annotations = map[string]string{"sidecar.istio.io/inject": value}
		}
	}
	w.live("out", "devbox.local/hello:1", "out-00001", says("false"))
	w.deploy("in", "devbox.local/hello:1", says("true"))
	w.inject("in-00001")
	w.activator("in-00001")
	before := w.pods("out-00001")[0].UID
	w.label("istio.io/rev", "default")
	w.expect("the pod that is to have none", w.pods("out-00001")[0].UID, before)
	w.expect("pods of the one that asks for it", w.shape("in-00001"), [2]int{1, 0})
	w.expect("what the webhook goes by", w.pods("in-00001")[0].Labels["sidecar.istio.io/inject"], "true")
}

// TestASidecarThatNobodyInjects is a condition, and no reason to replace a pod
// again and again.
func TestASidecarThatNobodyInjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "devbox.local/hello:1", "hello-00001")
	w.deploy("asks", "devbox.local/hello:1", func(s *servingv1.Service) {
		s.Spec.Template.Labels = map[string]string{"sidecar.istio.io/inject": "true"}
	})
	w.activator("asks-00001")
	w.label("istio-injection", "enabled")
	w.activator("hello-00001")
	w.activator("hello-00001")
	w.expect("pods", w.shape("hello-00001"), [2]int{1, 0})
	w.expect("traffic", w.traffic("hello"), "[hello-00001 100 latest]")
	for what, ready := range map[string]*servingv1.Condition{
		"the revision that was live":      get(w, &servingv1.Revision{}, "hello-00001").Status.Condition(servingv1.ConditionReady),
		"the service that asks for a pod": get(w, &servingv1.Service{}, "asks").Status.Condition(servingv1.ConditionReady),
	} {
		if ready.Status != corev1.ConditionFalse || !strings.Contains(ready.Message, "no istiod injects one here") {
			t.Errorf("%s is %+v, want it to say that there is no sidecar", what, ready)
		}
	}
}

// TestANamespaceOfTheFirstService is led into the mesh where the box's services
// are, unless somebody has said already what is to become of its pods.
func TestANamespaceOfTheFirstService(t *testing.T) {
	meshed := func(mode, gateway string) *corev1.ConfigMap {
		config := &corev1.ConfigMap{Data: map[string]string{"mtls": mode}}
		config.Namespace, config.Name = servingv1.Namespace, mesh.ConfigName
		config.Annotations = map[string]string{mesh.GatewayAnnotation: gateway}
		return config
	}
	inBox, noIstio, onItsWay := meshed("strict", mesh.GatewayTLS), meshed("strict", ""), meshed("permissive", mesh.GatewayTLS)
	for name, c := range map[string]struct {
		config              *corev1.ConfigMap
		labels, annotations map[string]string
		in, led             bool
	}{
		"new":                            {inBox, nil, nil, true, true},
		"new, in a box without Istio":    {noIstio, nil, nil, false, false},
		"new, in a box on its way":       {onItsWay, nil, nil, false, false},
		"said not to":                    {inBox, map[string]string{desired.InjectionLabel: "disabled"}, nil, false, false},
		"of an istiod of its own":        {inBox, map[string]string{desired.RevisionLabel: "canary"}, nil, true, false},
		"led out by the box":             {inBox, nil, map[string]string{desired.LedAnnotation: "out"}, false, false},
		"led in by the box, since taken": {inBox, nil, map[string]string{desired.LedAnnotation: "in"}, false, false},
	} {
		namespace := &corev1.Namespace{}
		namespace.Name, namespace.Labels, namespace.Annotations = "fresh", c.labels, c.annotations
		r := &revisions{applier: istioOf(t, namespace, c.config)}
		in, err := r.inMesh(t.Context(), "fresh")
		if err != nil || in != c.in {
			t.Errorf("%s: in the mesh %v, %v; want %v", name, in, err, c.in)
		}
		var now corev1.Namespace
		if err := r.client.Get(t.Context(), client.ObjectKeyFromObject(namespace), &now); err != nil {
			t.Fatal(err)
		}
		led := c.labels[desired.InjectionLabel] == "" && now.Labels[desired.InjectionLabel] == "enabled" && now.Annotations[desired.LedAnnotation] == "in"
		if led != c.led {
			t.Errorf("%s: the namespace has %v and %v", name, now.Labels, now.Annotations)
		}
	}
}
