package controller

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
)

// mapping makes a DomainMapping in a namespace.
func (w *world) mapping(namespace, host, kind, name string) *servingv1beta1.DomainMapping {
	w.Helper()
	dm := &servingv1beta1.DomainMapping{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: host}}
	dm.Spec.Ref = servingv1beta1.Reference{APIVersion: servingv1.GroupVersion.String(), Kind: kind, Name: name}
	if err := w.Create(w.Context(), dm); err != nil {
		w.Fatal(err)
	}
	w.settle()
	return dm
}

// remove deletes a Service, and its Route where the server's garbage collector
// has not been first.
func (w *world) remove(name string) {
	w.Helper()
	for _, gone := range []client.Object{get(w, &servingv1.Service{}, name), get(w, &servingv1.Route{}, name)} {
		if err := w.Delete(w.Context(), gone); client.IgnoreNotFound(err) != nil {
			w.Fatal(err)
		}
	}
	w.settle()
}

// mapped are the conditions of a DomainMapping.
func (w *world) mapped(dm *servingv1beta1.DomainMapping) (claimed, resolved, way, ready string) {
	w.Helper()
	if err := w.Get(w.Context(), client.ObjectKeyFromObject(dm), dm); err != nil {
		w.Fatal(err)
	}
	say := func(t servingv1.ConditionType) string {
		c := dm.Status.Condition(t)
		return strings.TrimSpace(string(c.Status) + " " + c.Reason)
	}
	return say(servingv1beta1.DomainClaimed), say(servingv1beta1.ReferenceResolved), say(servingv1beta1.IngressReady), say(servingv1.ConditionReady)
}

func (w *world) expectMapped(what string, dm *servingv1beta1.DomainMapping, claimed, resolved, way, ready string) {
	w.Helper()
	a, b, c, d := w.mapped(dm)
	w.expect(what, []string{a, b, c, d}, []string{claimed, resolved, way, ready})
}

// TestMapping: a host comes and goes with the Service that it leads to.
func TestMapping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	host := "hello." + w.namespace + ".test"
	dm := w.mapping(w.namespace, host, "Service", "hello")
	w.expectMapped("no service", dm, "True", "False ResolveFailed", "Unknown IngressNotConfigured", "False ResolveFailed")
	w.expect("why", dm.Status.Condition(servingv1.ConditionReady).Message,
		`There is no Service "hello" in namespace "`+w.namespace+`", or it has no route yet.`)

	w.deploy("hello", "dev.local/hello")
	w.expectMapped("a service without a pod", dm, "True", "True", "Unknown IngressNotConfigured", "Unknown IngressNotConfigured")
	w.activator("hello-00001")
	w.expectMapped("live", dm, "True", "True", "True", "True")
	w.expect("URL", dm.Status.URL, "http://"+host)
	w.expect("address", dm.Status.Address.URL, "http://"+host)
	w.expect("observed", dm.Status.ObservedGeneration, dm.Generation)
	w.expect("TLS", dm.Status.Condition(servingv1beta1.CertificateProvisioned).Reason, "TLSNotEnabled")

	dm.Spec.Ref.Kind = "Route"
	if err := w.Update(w.Context(), dm); err != nil {
		t.Fatal(err)
	}
	w.settle()
	w.expectMapped("by its route", dm, "True", "True", "True", "True")

	w.remove("hello")
	w.expectMapped("the service has gone", dm, "True", "False ResolveFailed", "Unknown IngressNotConfigured", "False ResolveFailed")
}

// TestMappingToTheClusterLocal: a mapping makes a service public that is not, as
// elsewhere.
func TestMappingToTheClusterLocal(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("inner", "dev.local/inner", "inner-00001", func(s *servingv1.Service) {
		s.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
	})
	w.expectMapped("to a local one", w.mapping(w.namespace, "inner."+w.namespace+".test", "Service", "inner"), "True", "True", "True", "True")
}

// TestMappingsCollide: of two mappings of a host the first has it, until it
// goes.
func TestMappingsCollide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello", "hello-00001")
	other := *w
	other.namespace = "a-" + w.namespace // which comes first in the alphabet
	if err := w.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: other.namespace}}); err != nil {
		t.Fatal(err)
	}
	other.live("hello", "dev.local/hello", "hello-00001")

	host := "shop." + w.namespace + ".test"
	first := w.mapping(w.namespace, host, "Service", "hello")
	second := other.mapping(other.namespace, host, "Service", "hello")
	w.settle()
	w.expectMapped("the first", first, "True", "True", "True", "True")
	w.expectMapped("the second", second, "False DomainAlreadyClaimed", "True", "Unknown IngressNotConfigured", "False DomainAlreadyClaimed")
	w.expect("who has it", second.Status.Condition(servingv1beta1.DomainClaimed).Message,
		"The domain name is already in use by DomainMapping "+w.namespace+"/"+host+".")

	asked := w.mappings.ofHost(t.Context(), first)
	if len(asked) != 1 || asked[0].Namespace != other.namespace {
		t.Errorf("when the first changes, %v are looked at", asked)
	}
	if err := w.Delete(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	other.settle()
	w.expectMapped("the second, alone", second, "True", "True", "True", "True")
}

// TestFirstOf: who has a host keeps it, though the server's clock knows seconds
// only; among others the oldest comes first, and then the alphabet.
func TestFirstOf(t *testing.T) {
	made := func(namespace string, second int64, has bool) servingv1beta1.DomainMapping {
		dm := servingv1beta1.DomainMapping{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, CreationTimestamp: metav1.Unix(second, 0)}}
		if has {
			dm.Status.MarkClaimed()
		}
		return dm
	}
	for want, all := range map[string][]servingv1beta1.DomainMapping{
		"has":    {made("a", 1, false), made("has", 1, true), made("b", 0, false)},
		"oldest": {made("a", 2, false), made("oldest", 1, false)},
		"one":    {made("two", 1, false), made("one", 1, false)},
		"both-1": {made("both-2", 2, true), made("both-1", 1, true)},
	} {
		if got := firstOf(all).Namespace; got != want {
			t.Errorf("of %v the first is %s, want %s", all, got, want)
		}
	}
}

// TestMappingOntoARoutesHost: a route keeps its hosts, and gets them back.
func TestMappingOntoARoutesHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.live("hello", "dev.local/hello", "hello-00001")
	taken := w.mapping(w.namespace, "hello."+w.namespace+".example.com", "Service", "hello")
	w.expectMapped("a route's host", taken, "False DomainAlreadyClaimed", "True", "Unknown IngressNotConfigured", "False DomainAlreadyClaimed")
	w.expect("whose", taken.Status.Condition(servingv1beta1.DomainClaimed).Message,
		"The domain name is already in use by Route "+w.namespace+"/hello.")

	next := w.mapping(w.namespace, "next."+w.namespace+".localhost", "Service", "hello")
	w.expectMapped("nobody's host", next, "True", "True", "True", "True")
	w.live("next", "dev.local/next", "next-00001")
	w.expectMapped("a later route's host", next, "False DomainAlreadyClaimed", "True", "Unknown IngressNotConfigured", "False DomainAlreadyClaimed")
	if asked := w.mappings.ofRoute(t.Context(), get(w, &servingv1.Route{}, "next")); len(asked) != 1 || asked[0].Name != next.Name {
		t.Errorf("when the route changes, %v are looked at", asked)
	}
	w.remove("next")
	w.expectMapped("nobody's again", next, "True", "True", "True", "True")
}
