package controller

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	networkingv1 "istio.io/client-go/pkg/apis/networking/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/ingress"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/stream"
)

// gatewayWorld is a gateway that does as the test says, and a route through it.
type gatewayWorld struct {
	*gatewayTLS
	t      *testing.T
	within atomic.Bool // what the gateway does
}

func newGatewayWorld(t *testing.T) *gatewayWorld {
	t.Helper()
	w := &gatewayWorld{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if w.within.Load() {
			rw.Header().Set(sessionHeader, "spiffe://cluster.local/ns/istio-system/sa/gateway")
		}
		_, _ = rw.Write([]byte(probeActivator))
	}))
	t.Cleanup(server.Close)
	scheme, err := newScheme(true)
	if err != nil {
		t.Fatal(err)
	}
	route := &servingv1.Route{}
	route.Name, route.Namespace, route.UID = "hello", "default", "route"
	config := &corev1.ConfigMap{}
	config.Name, config.Namespace, config.UID = mesh.ConfigName, servingv1.Namespace, "config"
	rules := ingress.ActivatorRules(false)
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(route, config, rules[0], rules[1]).Build()
	w.gatewayTLS = &gatewayTLS{client: c, cached: c, gateway: newGateway(server.URL), force: newInForce("example.com")}
	w.gateway.open.Add(route.UID, digestOf(desired.Hosts(route, desired.NewHosting(route, w.force.naming(), nil))))
	return w
}

// step asks for a mode and makes one step. It returns what the annotation and
// the DestinationRule say after that.
func (w *gatewayWorld) step(mode string) (annotation, rule string) {
	w.t.Helper()
	ctx, key := w.t.Context(), client.ObjectKey{Namespace: servingv1.Namespace, Name: mesh.ConfigName}
	var config corev1.ConfigMap
	if err := w.client.Get(ctx, key, &config); err != nil {
		w.t.Fatal(err)
	}
	config.Data = map[string]string{"mtls": mode}
	if _, err := w.lead(ctx, &config); err != nil {
		w.t.Fatal(err)
	}
	if err := w.client.Get(ctx, key, &config); err != nil {
		w.t.Fatal(err)
	}
	var made networkingv1.DestinationRule
	if err := w.client.Get(ctx, client.ObjectKeyFromObject(ingress.ActivatorRules(false)[0]), &made); err != nil {
		w.t.Fatal(err)
	}
	return config.Annotations[mesh.GatewayAnnotation], made.Spec.TrafficPolicy.GetTls().GetMode().String()
}

func (w *gatewayWorld) expect(what, mode, annotation, rule string) {
	w.t.Helper()
	if a, r := w.step(mode); a != annotation || r != rule {
		w.t.Errorf("%s: the annotation is %q and the rule %s, want %q and %s", what, a, r, annotation, rule)
	}
}

// settle lets the gateway have done so for long enough.
func (w *gatewayWorld) settle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now().Add(-2 * settled)
}

func TestTheGatewaysWayIntoTheMeshAndBack(t *testing.T) {
	w := newGatewayWorld(t)
	takes := func(source string, clear, within bool) {
		w.receive(source, stream.Message{Takes: &stream.Takes{Clear: clear, TLS: within}})
	}
	w.expect("nobody has said anything", "strict", "", "DISABLE")
	takes("a", true, true)
	w.receive("b", stream.Message{Stats: &stream.Stats{}}) // an older one, which has no word for it
	w.expect("one of two does not take TLS", "strict", "", "DISABLE")
	w.gone("b")
	w.expect("all take TLS", "strict", "", "ISTIO_MUTUAL")
	w.within.Store(true)
	w.expect("the gateway has begun to", "strict", "", "ISTIO_MUTUAL")
	w.settle()
	w.expect("the gateway does", "strict", mesh.GatewayTLS, "ISTIO_MUTUAL")

	takes("a", false, true)
	w.expect("it takes TLS alone", "off", mesh.GatewayTLS, "ISTIO_MUTUAL")
	takes("a", true, true)
	w.expect("it takes both", "off", mesh.GatewayTLS, "DISABLE")
	w.settle()
	w.expect("the gateway still uses TLS", "off", mesh.GatewayTLS, "DISABLE")
	w.within.Store(false)
	w.expect("the gateway has ceased to", "off", mesh.GatewayTLS, "DISABLE")
	w.settle()
	w.expect("the gateway does not", "off", "", "DISABLE")
}

func TestAModeThatCannotBe(t *testing.T) {
	config := &corev1.ConfigMap{Data: map[string]string{"mtls": "on"}}
	if _, err := newGatewayWorld(t).lead(t.Context(), config); err == nil || !strings.Contains(err.Error(), `mtls: "on" must be`) {
		t.Errorf("got %v, want an error that names the key", err)
	}
	config.Data["mtls"] = "strict"
	if _, err := new(gatewayTLS).lead(t.Context(), config); err == nil || !strings.Contains(err.Error(), "needs Istio") {
		t.Errorf("without a gateway: got %v, want an error that says so", err)
	}
}
