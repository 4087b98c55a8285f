package conformance

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	servingv1beta1 "github.com/kind-in-a-box/devbox/serving/api/v1beta1"
)

const mappingArea = "Hosts of one's own"

var mapping = []behaviour{
	{
		area: mappingArea, name: "mapped",
		says: "a DomainMapping's host, with a port or without, leads to its Service through edits, splits and zero pods; `status.url` and `status.address.url` name it, and the container sees it",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/window", "6s"))
			t.ready()
			host := t.name + ".example.org"
			dm := t.maps(metav1.NamespaceDefault, host)
			t.mappingComes(dm, servingv1.ConditionReady, "True")
			if dm.Status.URL != "http://"+host || dm.Status.Address == nil || dm.Status.Address.URL != dm.Status.URL || dm.Status.ObservedGeneration != dm.Generation {
				t.Errorf("its status is %+v", dm.Status)
			}
			t.until("the host answers", func() bool { return t.answer(host, "/") == "200 "+t.name+"-00001" })
			if got := t.answer(host+":8080", "/headers"); !strings.HasPrefix(got, "200 Host: "+host+":8080\n") {
				t.Errorf("the container sees %q", got)
			}
			t.zero()
			if got := t.answer(host, "/"); got != "200 "+t.name+"-00001" {
				t.Errorf("from zero: %q", got)
			}
			t.edit(env("A", "1"), traffic(
				servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(int64(50))},
				servingv1.TrafficTarget{RevisionName: t.name + "-00001", Percent: new(int64(50))}))
			t.ready()
			t.until("both revisions answer", func() bool {
				return t.answer(host, "/") == "200 "+t.name+"-00002" && t.answer(host, "/") == "200 "+t.name+"-00001"
			})
		},
	},
	{
		area: mappingArea, name: "mapped-first",
		says: "a DomainMapping to what is not there is not Ready, `ReferenceResolved` False, `ResolveFailed`; it is Ready when that comes, and not when it has gone",
		try: func(t *trial) {
			dm := t.maps(metav1.NamespaceDefault, t.name+".example.org")
			t.mappingComes(dm, servingv1beta1.ReferenceResolved, "False ResolveFailed")
			t.mappingComes(dm, servingv1.ConditionReady, "False ResolveFailed")
			t.create()
			t.mappingComes(dm, servingv1.ConditionReady, "True")
			t.until("the host answers", func() bool { return t.answer(dm.Name, "/") == "200 "+t.name+"-00001" })
			if err := t.api.Delete(t.Context(), t.describe()); err != nil {
				t.Fatal(err)
			}
			t.mappingComes(dm, servingv1.ConditionReady, "False ResolveFailed")
			t.until("the host is unknown", func() bool { return strings.HasPrefix(t.answer(dm.Name, "/"), "404") })
		},
	},
	{
		area: mappingArea, name: "mapped-twice",
		says: "of two DomainMappings of a host in two namespaces the first has it; the second's `DomainClaimed` is False until the first is deleted",
		try: func(t *trial) {
			t.create()
			t.ready()
			other := t.namespace("a-" + t.name)
			theirs := t.describe(func(s *servingv1.Service) { s.Namespace = other })
			if err := t.api.Create(t.Context(), theirs); err != nil {
				t.Fatal(err)
			}
			first := t.maps(metav1.NamespaceDefault, t.name+".example.org")
			t.mappingComes(first, servingv1.ConditionReady, "True")
			second := t.maps(other, first.Name)
			t.mappingComes(second, servingv1beta1.DomainClaimed, "False DomainAlreadyClaimed")
			t.mappingComes(second, servingv1beta1.ReferenceResolved, "True")
			t.mappingComes(first, servingv1.ConditionReady, "True")
			if err := t.api.Delete(t.Context(), first); err != nil {
				t.Fatal(err)
			}
			t.mappingComes(second, servingv1.ConditionReady, "True")
			t.until("the second's service answers", func() bool { return t.answer(second.Name, "/") == "200 "+t.name+"-00001" })
		},
	},
	{
		area: mappingArea, name: "mapped-local",
		says: "a DomainMapping to a cluster-local Service is a way to it from outside",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				s.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
			})
			t.ready()
			dm := t.maps(metav1.NamespaceDefault, t.name+".example.org")
			t.mappingComes(dm, servingv1.ConditionReady, "True")
			t.until("the host answers", func() bool { return t.answer(dm.Name, "/") == "200 "+t.name+"-00001" })
		},
	},
	{
		area: mappingArea, name: "mapping-refused",
		says: "a DomainMapping whose name is one label, or one of the cluster's, or whose reference is in another namespace, is refused",
		try: func(t *trial) {
			for words, dm := range map[string]*servingv1beta1.DomainMapping{
				"metadata.name":      t.describeMapping(metav1.NamespaceDefault, "localhost"),
				"those names are":    t.describeMapping(metav1.NamespaceDefault, t.name+".default.svc.cluster.local"),
				"spec.ref.namespace": elsewhere(t.describeMapping(metav1.NamespaceDefault, t.name+".example.org")),
			} {
				if err := t.api.Create(t.Context(), dm, client.DryRunAll); err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%s created: %v; want it refused with %q", dm.Name, err, words)
				}
			}
		},
	},
	{
		area: mappingArea, name: "kn-domain",
		says: "what `kn domain` asks: create, get, update by PUT (a conflict where somebody was first), list with the columns URL, Ready and Reason, delete",
		try: func(t *trial) {
			t.create()
			t.ready()
			dm := t.maps(metav1.NamespaceDefault, t.name+".example.org")
			t.mappingComes(dm, servingv1.ConditionReady, "True")
			stale := dm.DeepCopy()
			dm.Spec.Ref.Kind, dm.Spec.Ref.Namespace = "Route", dm.Namespace
			if err := t.api.Update(t.Context(), dm); err != nil {
				t.Fatal(err)
			}
			if err := t.api.Update(t.Context(), stale); !apierrors.IsConflict(err) {
				t.Errorf("updated what was read before: %v, want a conflict", err)
			}
			t.until("it is ready as it is now", func() bool { return get(t, dm, dm.Name).IsReady() })
			var table metav1.Table
			err := t.kubernetes.CoreV1().RESTClient().Get().AbsPath("/apis/serving.knative.dev/v1beta1/namespaces/default/domainmappings").
				SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").Do(t.Context()).Into(&table)
			if err != nil {
				t.Fatal(err)
			}
			var columns []string
			for _, c := range table.ColumnDefinitions {
				columns = append(columns, c.Name)
			}
			if got := strings.Join(columns, " "); got != "Name URL Ready Reason" {
				t.Errorf("its columns are %s", got)
			}
			if err := t.api.Delete(t.Context(), dm); err != nil {
				t.Fatal(err)
			}
			t.until("the host is unknown", func() bool { return strings.HasPrefix(t.answer(dm.Name, "/"), "404") })
		},
	},
}

// describeMapping gives a host to the trial's service, in a namespace.
func (t *trial) describeMapping(namespace, host string) *servingv1beta1.DomainMapping {
	dm := &servingv1beta1.DomainMapping{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: host}}
	dm.Spec.Ref = servingv1beta1.Reference{APIVersion: servingv1.GroupVersion.String(), Kind: "Service", Name: t.name}
	return dm
}

func elsewhere(dm *servingv1beta1.DomainMapping) *servingv1beta1.DomainMapping {
	dm.Spec.Ref.Namespace = "elsewhere"
	return dm
}

// maps makes the same, which is gone when the trial ends.
func (t *trial) maps(namespace, host string) *servingv1beta1.DomainMapping {
	t.Helper()
	dm := t.describeMapping(namespace, host)
	if err := t.api.Create(t.Context(), dm); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := t.api.Delete(context.WithoutCancel(t.Context()), dm); client.IgnoreNotFound(err) != nil {
			t.Error(err)
		}
	})
	return dm
}

// mappingComes waits for a condition of a DomainMapping to be as want begins.
func (t *trial) mappingComes(dm *servingv1beta1.DomainMapping, condition servingv1.ConditionType, want string) {
	t.Helper()
	t.until(dm.Namespace+"/"+dm.Name+": "+string(condition)+" is "+want, func() bool {
		return t.api.Get(t.Context(), client.ObjectKeyFromObject(dm), dm) == nil && strings.HasPrefix(say(dm.Status.Condition(condition)), want)
	})
}

// namespace makes one, which is gone when the trial ends.
func (t *trial) namespace(name string) string {
	t.Helper()
	all := t.kubernetes.CoreV1().Namespaces()
	if _, err := all.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := all.Delete(context.WithoutCancel(t.Context()), name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return name
}
