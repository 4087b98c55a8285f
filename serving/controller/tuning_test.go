package controller

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// tune makes one of the box's ConfigMaps, for as long as the test lasts.
func (r *running) tune(name string, data map[string]string) *corev1.ConfigMap {
	r.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: servingv1.Namespace}}
	if err := r.Create(r.ctx, ns); client.IgnoreAlreadyExists(err) != nil {
		r.Fatal(err)
	}
	config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns.Name}, Data: data}
	if err := r.Create(r.ctx, config); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := r.Delete(context.WithoutCancel(r.Context()), config); client.IgnoreNotFound(err) != nil {
			r.Error(err)
		}
	})
	return config
}

// change says something else in config.
func (r *running) change(config *corev1.ConfigMap, key, value string) {
	r.Helper()
	config.Data[key] = value
	if err := r.Update(r.ctx, config); err != nil {
		r.Fatal(err)
	}
}

// seen waits until the controller has config before its eyes.
func (r *running) seen(config *corev1.ConfigMap) {
	r.Helper()
	err := wait.PollUntilContextCancel(r.ctx, 10*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		cm, err := setting(ctx, r.controller.manager.GetClient(), config.Name)
		return err == nil && cm.ResourceVersion == config.ResourceVersion, err
	})
	if err != nil {
		r.Fatalf("the controller has not seen %s: %v", config.Name, err)
	}
}

// refused waits for the controller to say what is wrong with config.
func (r *running) refused(config *corev1.ConfigMap) string {
	r.Helper()
	there := *r
	there.namespace = config.Namespace
	return until(&there, &corev1.EventList{}, "a word about "+config.Name, func(e *corev1.Event) bool {
		return e.InvolvedObject.UID == config.UID && e.Reason == reasonInvalid
	}).Message
}

// logged are the variables of a pod that ask for a request log.
func logged(p *corev1.Pod) map[string]string { return asked(p, "_LOG") }

// asked are the variables of a pod's queue-proxy whose names have a part.
func asked(p *corev1.Pod, part string) map[string]string {
	out := map[string]string{}
	for _, c := range p.Spec.Containers {
		for _, e := range c.Env {
			if c.Name == servingv1.QueueContainer && strings.Contains(e.Name, part) {
				out[e.Name] = e.Value
			}
		}
	}
	return out
}

// What the box's ConfigMap says holds for every revision at once.
func TestTuning(t *testing.T) {
	r := run(t, "")
	r.hello()
	r.answers(r.pod("hello-00001"))
	r.ready("hello-00001") // without an ingress

	r.tune(autoscalerConfig, map[string]string{"min-scale": "2"})
	until(r, &servingv1.RevisionList{}, "a second pod", func(rev *servingv1.Revision) bool {
		return rev.Status.DesiredReplicas != nil && *rev.Status.DesiredReplicas == 2
	})
}

// A request log is for the pods that are made from then on. A template that is
// wrong is refused by its name, and leaves what there was.
func TestObservability(t *testing.T) {
	const template = "{{.Request.Method}} {{.Response.Code}}"
	r := run(t, "")
	config := r.tune(observabilityConfig, map[string]string{
		"logging.enable-request-log": "true", "logging.request-log-template": template, "logging.enable-probe-request-log": "true",
	})
	r.seen(config)
	svc := r.hello()
	want := map[string]string{"SERVING_REQUEST_LOG_TEMPLATE": template, "SERVING_ENABLE_PROBE_REQUEST_LOG": "true"}
	if got := logged(r.pod("hello-00001")); !maps.Equal(got, want) {
		t.Errorf("of the first pod: %v, want %v", got, want)
	}

	r.change(config, "logging.request-log-template", "{{.Nothing"+strings.Repeat(".of", 500)+"}}") // longer than an event may be
	if got := r.refused(config); !strings.Contains(got, "logging.request-log-template: {{.Nothing") {
		t.Errorf("said of a template that is wrong: %s", got)
	}
	r.edit(svc, "dev.local/hello:1")
	if got := logged(r.pod("hello-00002")); !maps.Equal(got, want) {
		t.Errorf("after a template that is wrong: %v, want %v", got, want)
	}

	r.change(config, "logging.request-log-template", "{{.TraceID}}")
	r.seen(config)
	r.edit(svc, "dev.local/hello:2")
	want["SERVING_REQUEST_LOG_TEMPLATE"] = "{{.TraceID}}"
	if got := logged(r.pod("hello-00003")); !maps.Equal(got, want) {
		t.Errorf("after another template: %v, want %v", got, want)
	}

	r.change(config, "logging.enable-request-log", "false")
	r.seen(config)
	r.edit(svc, "dev.local/hello:3")
	if got := logged(r.pod("hello-00004")); len(got) != 0 {
		t.Errorf("without a log: %v", got)
	}
}

// What is traced is for the pods that are made from then on. The newer of the
// two ConfigMaps goes before the older one, and a mistake is refused by its key.
func TestTracing(t *testing.T) {
	r := run(t, "")
	older := r.tune(tracingConfig, map[string]string{"backend": "zipkin", "zipkin-endpoint": "http://zipkin:9411", "sample-rate": "0.5"})
	r.seen(older)
	svc := r.hello()
	zipkin := map[string]string{"TRACING_PROTOCOL": "zipkin", "TRACING_ENDPOINT": "http://zipkin:9411/api/v2/spans", "TRACING_SAMPLING_RATE": "0.5"}
	if got := asked(r.pod("hello-00001"), "TRACING_"); !maps.Equal(got, zipkin) {
		t.Errorf("of the first pod: %v, want %v", got, zipkin)
	}

	newer := r.tune(observabilityConfig, map[string]string{"tracing-protocol": "grpc", "tracing-endpoint": "http://collector:4317"})
	if got := r.refused(newer); !strings.Contains(got, "tracing-protocol: grpc") {
		t.Errorf("said of a protocol that cannot be had: %s", got)
	}
	r.edit(svc, "dev.local/hello:1")
	if got := asked(r.pod("hello-00002"), "TRACING_"); !maps.Equal(got, zipkin) {
		t.Errorf("after one that is wrong: %v, want %v", got, zipkin)
	}

	r.change(newer, "tracing-protocol", "http/protobuf")
	r.seen(newer)
	r.edit(svc, "dev.local/hello:2")
	otlp := map[string]string{"TRACING_PROTOCOL": "http/protobuf", "TRACING_ENDPOINT": "http://collector:4317/v1/traces", "TRACING_SAMPLING_RATE": "0"}
	if got := asked(r.pod("hello-00003"), "TRACING_"); !maps.Equal(got, otlp) {
		t.Errorf("with both: %v, want %v", got, otlp)
	}
}

// The ConfigMaps are live, what is wrong in one is refused by an event that names
// it and the key, and what it said before holds; as it does when it is gone.
func TestConfigMaps(t *testing.T) {
	r := run(t, "")
	svc := r.hello()
	r.answers(r.pod("hello-00001"))
	r.ready("hello-00001")
	url := func(what, host string) {
		t.Helper()
		until(r, &servingv1.RouteList{}, what, func(route *servingv1.Route) bool { return route.Status.URL == "http://"+host })
	}
	domain := r.tune("config-domain", map[string]string{"box.test": ""})
	url("the domain", "hello."+r.namespace+".box.test")
	network := r.tune("config-network", map[string]string{"domain-template": "{{.Name}}-{{.Namespace}}.{{.Domain}}"})
	url("the template", "hello-"+r.namespace+".box.test")
	until(r, &servingv1.RouteList{}, "the hosts in the status", func(route *servingv1.Route) bool {
		return strings.Contains(strings.Join(servingv1.RouteHosts(route, "", route.Status.URL), " "), "hello-"+r.namespace+".localhost")
	})
	browser := func(what, want string) {
		t.Helper()
		until(r, &servingv1.ServiceList{}, what, func(s *servingv1.Service) bool {
			host, _ := servingv1.BrowserHost(s)
			return host == want
		})
	}
	browser("the host for browsers, by the template", "hello-"+r.namespace+".localhost")
	r.change(network, "domain-template", "{{.Name}}.{{.Namespace}}.fixed.test")
	browser("no host for browsers", "")
	r.change(network, "domain-template", "{{.Name}}-{{.Namespace}}.{{.Domain}}")
	browser("the host for browsers again", "hello-"+r.namespace+".localhost")

	r.change(network, "domain-template", "{{.Nobody}}")
	if got := r.refused(network); !strings.Contains(got, "config-network") || !strings.Contains(got, "domain-template: ") {
		t.Errorf("said of a template that is wrong: %s", got)
	}
	r.change(domain, "zoo.test", "")
	if got := r.refused(domain); !strings.Contains(got, "config-domain") || !strings.Contains(got, "zoo.test: has the selector of box.test") {
		t.Errorf("said of two domains for every route: %s", got)
	}
	delete(domain.Data, "zoo.test")
	r.change(domain, "other.test", "selector: {team: a}")
	r.seen(domain)
	before := svc.DeepCopy()
	svc.Labels = map[string]string{"team": "a"}
	if err := r.Patch(r.ctx, svc, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	url("the domain of its label, by the template of before", "hello-"+r.namespace+".other.test")

	defaults := r.tune("config-defaults", map[string]string{"revision-timeout-seconds": "77", "revision-cpu-request": "7m"})
	r.seen(defaults)
	r.eventually("the defaults", func() bool { return r.controller.force.fields().TimeoutSeconds == 77 })
	r.edit(svc, "dev.local/hello:2")
	rev := until(r, &servingv1.RevisionList{}, "a revision by the defaults", func(rev *servingv1.Revision) bool { return rev.Name == "hello-00002" })
	if got := rev.Spec.Containers[0].Resources.Requests.Cpu().String(); *rev.Spec.TimeoutSeconds != 77 || got != "7m" {
		t.Errorf("the revision has a timeout of %d s and asks for %s", *rev.Spec.TimeoutSeconds, got)
	}

	gone := r.tune("config-gc", map[string]string{"max-non-active-revisions": "3", "min-non-active-revisions": "3"})
	r.eventually("the bound", func() bool { return r.controller.force.collection().Most == 3 })
	if err := r.Delete(r.ctx, gone.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	there := *r
	there.namespace = servingv1.Namespace
	until(&there, &corev1.EventList{}, "a word about the one that is gone", func(e *corev1.Event) bool {
		return e.InvolvedObject.Name == "config-gc" && strings.Contains(e.Message, "is gone")
	})
	if got := r.controller.force.collection().Most; got != 3 {
		t.Errorf("after it is gone %d revisions are kept", got)
	}
}

// eventually waits for the controller to have taken something.
func (r *running) eventually(what string, is func() bool) {
	r.Helper()
	err := wait.PollUntilContextCancel(r.ctx, 10*time.Millisecond, true, func(context.Context) (bool, error) { return is(), nil })
	if err != nil {
		r.Fatalf("no sign of %s: %v", what, err)
	}
}
