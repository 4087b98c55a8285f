package conformance

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

const limitArea = "Limits of requests"

var limits = []behaviour{
	{
		area: limitArea, name: "one-at-a-time",
		says: "`containerConcurrency: 1` gives a pod one request at a time; the others wait",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) { s.Spec.Template.Spec.ContainerConcurrency = new(int64(1)) },
				annotated("autoscaling.knative.dev/max-scale", "1"))
			t.ready()
			var all sync.WaitGroup
			for range 5 {
				all.Go(func() { t.expect("/sleep?first=100", "200 begun\nended") })
			}
			all.Wait()
			t.expect("/most", "200 1")
			t.refused("containerConcurrency", func(s *servingv1.Service) { s.Spec.Template.Spec.ContainerConcurrency = new(int64(1001)) })
		},
	},
	{
		area: limitArea, name: "timeout",
		says: "`timeoutSeconds`: 504 where the response has not begun by then; one that has goes on",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				s.Spec.Template.Spec.TimeoutSeconds, s.Spec.Template.Spec.ResponseStartTimeoutSeconds = new(int64(2)), new(int64(2))
			})
			t.ready()
			t.expect("/sleep?first=4000", "504 request timeout")
			t.expect("/sleep?then=4000", "200 begun\nended")
		},
	},
	{
		area: limitArea, name: "response-start",
		says: "`responseStartTimeoutSeconds`: 504 where the response has not begun by then",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) { s.Spec.Template.Spec.ResponseStartTimeoutSeconds = new(int64(2)) })
			t.ready()
			t.expect("/sleep?first=4000", "504 request timeout")
			t.expect("/sleep?then=4000", "200 begun\nended")
		},
	},
	{
		area: limitArea, name: "idle",
		says: "`idleTimeoutSeconds`: a response in which nothing is written for so long is cut",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) { s.Spec.Template.Spec.IdleTimeoutSeconds = new(int64(2)) })
			t.ready()
			t.expect("/sleep?then=6000", "200 begun cut")
			t.expect("/sleep?then=500", "200 begun\nended")
		},
	},
	{
		area: limitArea, name: "websocket-timeouts",
		says: "on an upgraded connection `timeoutSeconds` counts until the server's first word, and `idleTimeoutSeconds` between words",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				spec := &s.Spec.Template.Spec
				spec.TimeoutSeconds, spec.ResponseStartTimeoutSeconds, spec.IdleTimeoutSeconds = new(int64(3)), new(int64(3)), new(int64(3))
			})
			t.ready()
			_, in := t.upgrade("websocket", "/upgrade?first=20000")
			t.hear(in, "")
			conn, in := t.upgrade("websocket", "/upgrade")
			t.hear(in, "welcome")
			for range 4 { // together longer than timeoutSeconds
				time.Sleep(time.Second)
				fmt.Fprintln(conn, "again")
				t.hear(in, "again")
			}
			t.hear(in, "") // nobody says anything
		},
	},
}

const routingArea = "Routing"

var routing = []behaviour{
	{
		area: routingArea, name: "urls",
		says: "`status.url` is `http://NAME.NAMESPACE.DOMAIN`, `status.address.url` the name in the cluster; a Kubernetes Service of the route's name stands for it",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) { s.Labels = map[string]string{"team": "blue"} })
			s := t.ready()
			if s.Status.URL != "http://"+t.host() || s.Status.Address == nil || s.Status.Address.URL != "http://"+t.name+".default.svc.cluster.local" {
				t.Errorf("url %q, address %+v", s.Status.URL, s.Status.Address)
			}
			placeholder, err := t.kubernetes.CoreV1().Services(metav1.NamespaceDefault).Get(t.Context(), t.name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if placeholder.Labels[servingv1.ServiceLabel] != t.name || placeholder.Labels[servingv1.RouteLabel] != t.name || placeholder.Labels["team"] != "blue" {
				t.Errorf("its labels are %v", placeholder.Labels)
			}
		},
	},
	{
		area: routingArea, name: "tags",
		says: "a tag has a URL of its own, at any share of the traffic; `status.traffic` names revisions, shares, tags and URLs",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(env("A", "1"), traffic(
				servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(int64(100)), Tag: "now"},
				servingv1.TrafficTarget{RevisionName: t.name + "-00001", Percent: new(int64(0)), Tag: "old"}))
			s := t.ready()
			if len(s.Status.Traffic) != 2 || s.Status.Traffic[0].RevisionName != t.name+"-00002" || s.Status.Traffic[1].URL != "http://old-"+t.host() {
				t.Errorf("traffic is %+v", s.Status.Traffic)
			}
			t.expect("/", "200 "+t.name+"-00002")
			t.until("the tag answers", func() bool { return t.answer("old-"+t.host(), "/") == "200 "+t.name+"-00001" })
			t.until("the other tag answers", func() bool { return t.answer("now-"+t.host(), "/") == "200 "+t.name+"-00002" })
		},
	},
	{
		area: routingArea, name: "tag-header",
		says: "with config-features' `tag-header-based-routing` the header `Knative-Serving-Tag` chooses a tag; what is no tag goes by the shares, and is marked `Knative-Serving-Default-Route`",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(env("A", "1"), traffic(
				servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(int64(100))},
				servingv1.TrafficTarget{RevisionName: t.name + "-00001", Tag: "old"}))
			t.ready()
			t.expect("/", "200 "+t.name+"-00002", "Knative-Serving-Tag", "old")
			t.configure("config-features", "tag-header-based-routing", "enabled")
			t.until("the header chooses", func() bool {
				return t.answer(t.host(), "/", "Knative-Serving-Tag", "old") == "200 "+t.name+"-00001"
			})
			t.expect("/", "200 "+t.name+"-00002", "Knative-Serving-Tag", "nope")
			t.expect("/", "200 "+t.name+"-00002")
			if got := t.lines("/headers", ":")["Knative-Serving-Default-Route"]; got != "true" {
				t.Errorf("without a tag the container is told %q", got)
			}
			if got := t.answer("old-"+t.host(), "/headers"); !strings.Contains(got, "Knative-Serving-Tag: old\n") {
				t.Errorf("by the tag's host the container is told %s", got)
			}
		},
	},
	{
		area: routingArea, name: "split",
		says: "traffic is split by percent; shares that are not 100 together are refused",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(env("A", "1"), traffic(
				servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(int64(50))},
				servingv1.TrafficTarget{RevisionName: t.name + "-00001", Percent: new(int64(50))}))
			t.ready()
			got := map[string]int{}
			for range 100 {
				got[t.answer(t.host(), "/")]++
			}
			a, b := got["200 "+t.name+"-00001"], got["200 "+t.name+"-00002"]
			if a+b != 100 || a < 20 || b < 20 { // 50 each, give or take six standard deviations
				t.Errorf("100 answers: %v", got)
			}
			t.refused("100", traffic(servingv1.TrafficTarget{LatestRevision: new(true), Percent: new(int64(99))}))
		},
	},
	{
		area: routingArea, name: "pinned",
		says: "a Service whose traffic names a revision stays with it through edits",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.edit(env("A", "1"), traffic(servingv1.TrafficTarget{RevisionName: t.name + "-00001", Percent: new(int64(100))}))
			s := t.ready()
			if s.Status.LatestReadyRevisionName != t.name+"-00002" {
				t.Errorf("latest ready is %q", s.Status.LatestReadyRevisionName)
			}
			t.expect("/", "200 "+t.name+"-00001")
		},
	},
	{
		area: routingArea, name: "rollout",
		says: "`serving.knative.dev/rollout-duration`: one percent of the traffic moves to a new revision first, the rest in equal steps; " +
			"`status.traffic` has both, and the Service is not Ready, `RolloutInProgress`, until the last one",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				s.Annotations = map[string]string{servingv1.RolloutDurationAnnotation: "4s"}
			})
			t.ready()
			states := t.watchService()
			t.edit(env("A", "1"))
			var shares []int64
			states(func(s *servingv1.Service) bool {
				traffic := s.Status.Traffic
				newest := traffic[len(traffic)-1]
				if newest.RevisionName == t.name+"-00001" {
					return false
				}
				if len(shares) == 0 || shares[len(shares)-1] != *newest.Percent {
					shares = append(shares, *newest.Percent)
				}
				if len(traffic) == 1 {
					return true
				}
				old, ready := traffic[0], say(s.Status.Condition(servingv1.ServiceRoutesReady))
				if len(traffic) != 2 || old.RevisionName != t.name+"-00001" || *old.Percent+*newest.Percent != 100 || !strings.HasPrefix(ready, "Unknown RolloutInProgress") {
					t.Errorf("on the way: %v, %s", traffic, ready)
				}
				return false
			})
			if !slices.Equal(shares, []int64{1, 34, 67, 100}) {
				t.Errorf("the shares of the new revision: %v", shares)
			}
			t.ready()
			t.expect("/", "200 "+t.name+"-00002")
			t.refused("must be a duration of whole seconds", func(s *servingv1.Service) {
				s.Annotations = map[string]string{servingv1.RolloutDurationAnnotation: "1500ms"}
			})
		},
	},
	{
		area: routingArea, name: "cluster-local",
		says: "`networking.knative.dev/visibility: cluster-local`: the URL is the name in the cluster, and the public host is 404",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				s.Labels = map[string]string{servingv1.VisibilityLabel: servingv1.VisibilityClusterLocal}
			})
			if s := t.ready(); s.Status.URL != "http://"+t.name+".default.svc.cluster.local" {
				t.Errorf("url %q", s.Status.URL)
			}
			if got := t.answer(t.host(), "/"); !strings.HasPrefix(got, "404") {
				t.Errorf("the public host answers %q", got)
			}
		},
	},
	{
		area: routingArea, name: "edits-lose-nothing",
		says: "an edit loses no request: the old revision goes on until the new one answers, and finishes what it has",
		try: func(t *trial) {
			t.create()
			t.ready()
			slow := make(chan string, 1)
			go func() { slow <- t.answer(t.host(), "/sleep?first=3000") }()
			t.edit(env("A", "1"))
			wrong := ""
			t.until("the new revision answers", func() bool {
				got := t.answer(t.host(), "/")
				if got != "200 "+t.name+"-00001" && got != "200 "+t.name+"-00002" {
					wrong = got
				}
				return got == "200 "+t.name+"-00002"
			})
			if got := <-slow; got != "200 begun\nended" || wrong != "" {
				t.Errorf("the request that was under way: %q; others: %q", got, wrong)
			}
		},
	},
	{
		area: routingArea, name: "h2c",
		says: "a port named `h2c` is spoken to in HTTP/2, whatever the client speaks; all others in HTTP/1.1",
		try: func(t *trial) {
			t.create(func(s *servingv1.Service) {
				container(s).Ports = []servingv1.ContainerPort{{Name: servingv1.PortNameH2C, ContainerPort: 8080}}
			})
			t.ready()
			t.expect("/proto", "200 HTTP/2.0")
			t.expect("/proto", "200 HTTP/2.0", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAAP__")
			t.edit(func(s *servingv1.Service) { container(s).Ports[0].Name = servingv1.PortNameHTTP1 })
			t.ready()
			t.expect("/proto", "200 HTTP/1.1")
		},
	},
	{
		area: routingArea, name: "websocket",
		says: "a WebSocket goes through, from zero pods too; when its pod is to go, the server says goodbye on it",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/window", "6s"))
			t.ready()
			t.zero()
			conn, in := t.upgrade("websocket", "/upgrade")
			t.hear(in, "welcome")
			fmt.Fprintln(conn, "hello")
			t.hear(in, "hello")
			if err := t.api.Delete(t.Context(), t.describe()); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Minute))
			t.hear(in, "goodbye")
			t.hear(in, "")
		},
	},
}

const contractArea = "What a container sees"

var contract = []behaviour{
	{
		area: contractArea, name: "environment",
		says: "`PORT`, `K_SERVICE`, `K_CONFIGURATION` and `K_REVISION` are set",
		try: func(t *trial) {
			t.create()
			t.ready()
			env := t.lines("/env", "=")
			for name, want := range map[string]string{"K_SERVICE": t.name, "K_CONFIGURATION": t.name, "K_REVISION": t.name + "-00001"} {
				if env[name] != want {
					t.Errorf("%s=%s, want %s", name, env[name], want)
				}
			}
			if env["PORT"] == "" {
				t.Error("PORT is not set")
			}
		},
	},
	{
		area: contractArea, name: "headers",
		says: "Host and the client's headers come as they were; `Forwarded`, `X-Forwarded-For` and `X-Forwarded-Proto` are added; the platform's own are kept back",
		try: func(t *trial) {
			t.create()
			t.ready()
			const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
			h := t.lines("/headers", ":", "X-Own", "mine", "Traceparent", trace, "K-Proxy-Request", "me", "Knative-Serving-Revision", "other")
			for name, want := range map[string]string{"Host": t.host(), "X-Own": "mine", "X-Forwarded-Proto": "http"} {
				if h[name] != want {
					t.Errorf("%s: %q, want %q", name, h[name], want)
				}
			}
			if !strings.HasPrefix(h["Forwarded"], "for=") || net.ParseIP(strings.TrimSpace(strings.Split(h["X-Forwarded-For"], ",")[0])) == nil {
				t.Errorf("Forwarded: %q, X-Forwarded-For: %q", h["Forwarded"], h["X-Forwarded-For"])
			}
			if !strings.HasPrefix(h["Traceparent"], trace[:35]) {
				t.Errorf("Traceparent: %q", h["Traceparent"])
			}
			for _, own := range []string{"K-Proxy-Request", "Knative-Serving-Revision", "Knative-Serving-Namespace", "K-Network-Probe"} {
				if h[own] != "" {
					t.Errorf("%s: %q is for the platform's own parts", own, h[own])
				}
			}
		},
	},
	{
		area: contractArea, name: "probe-header",
		says: "a probe, `K-Network-Probe: activator`, is answered on the way and never by the container",
		try: func(t *trial) {
			t.create()
			t.ready()
			t.expect("/", "200 activator", "K-Network-Probe", "activator")
		},
	},
	{
		area: contractArea, name: "slow-start",
		says: "a program that is slow to listen is waited for; no request is lost meanwhile",
		try: func(t *trial) {
			t.create(env("LISTEN_AFTER", "4000"), annotated("autoscaling.knative.dev/window", "6s"))
			t.ready()
			t.zero()
			began := time.Now()
			t.expect("/", "200 "+t.name+"-00001")
			if took := time.Since(began); took < 4*time.Second {
				t.Errorf("answered after %s", took)
			}
		},
	},
	{
		area: contractArea, name: "readiness",
		says: "`readinessProbe` with httpGet: no request comes before it passes",
		try: func(t *trial) {
			t.create(env("WARM", "4000"), func(s *servingv1.Service) {
				container(s).ReadinessProbe = &servingv1.Probe{HTTPGet: &servingv1.HTTPGetAction{Path: "/warm"}}
			})
			t.ready()
			t.expect("/warm", "200 ")
		},
	},
	{
		area: contractArea, name: "startup",
		says: "`startupProbe`: no request comes before it passes, at the first start and from zero pods",
		try: func(t *trial) {
			t.create(env("WARM", "5000"), annotated("autoscaling.knative.dev/window", "6s"), func(s *servingv1.Service) {
				container(s).StartupProbe = &servingv1.Probe{
					HTTPGet: &servingv1.HTTPGetAction{Path: "/warm"}, PeriodSeconds: 1, FailureThreshold: 60,
				}
			})
			t.ready()
			t.expect("/warm", "200 ")
			t.zero()
			t.expect("/warm", "200 ")
		},
	},
	{
		area: contractArea, name: "liveness",
		says: "`livenessProbe`: a container that fails it is started again",
		try: func(t *trial) {
			t.create(annotated("autoscaling.knative.dev/min-scale", "1"), func(s *servingv1.Service) {
				container(s).LivenessProbe = &servingv1.Probe{
					HTTPGet: &servingv1.HTTPGetAction{Path: "/alive"}, PeriodSeconds: 1, FailureThreshold: 1,
				}
			})
			t.ready()
			t.expect("/sick", "200 ")
			t.until("it is started again", func() bool {
				for _, p := range t.pods() {
					for _, c := range p.Status.ContainerStatuses {
						if c.Name == servingv1.UserContainer && c.RestartCount > 0 {
							return true
						}
					}
				}
				return false
			})
			t.until("it is well again", func() bool { return t.answer(t.host(), "/alive") == "200 " })
		},
	},
	{
		area: contractArea, name: "exec-probe",
		says:     "`readinessProbe` with exec: no request comes before the command succeeds",
		embedded: "refused by name: no command is run in a running container there",
		try: func(t *trial) {
			t.create(env("WARM", "5000"), func(s *servingv1.Service) {
				container(s).ReadinessProbe = &servingv1.Probe{
					Exec: &corev1.ExecAction{Command: []string{"/ko-app/program", "probe"}}, PeriodSeconds: 1,
				}
			})
			if t.box.Engine() != "embedded" {
				t.ready()
				t.expect("/warm", "200 ")
				return
			}
			comes(t, &servingv1.Revision{}, t.name+"-00001", ofRevision, servingv1.ConditionReady, "False")
			if got := say(t.revision(t.name + "-00001").Status.Condition(servingv1.ConditionReady)); !strings.Contains(got, "readinessProbe.exec") {
				t.Errorf("it says %q", got)
			}
		},
	},
	{
		area: contractArea, name: "drain",
		says: "a request that is under way when its Service is deleted gets its answer",
		try: func(t *trial) {
			t.create()
			t.ready()
			answer := make(chan string, 1)
			go func() { answer <- t.answer(t.host(), "/sleep?first=1000&then=3000") }()
			t.until("it is under way", func() bool { return strings.TrimPrefix(t.answer(t.host(), "/most"), "200 ") == "1" })
			if err := t.api.Delete(context.WithoutCancel(t.Context()), t.describe()); err != nil {
				t.Fatal(err)
			}
			if got := <-answer; got != fmt.Sprint(http.StatusOK)+" begun\nended" {
				t.Errorf("got %q", got)
			}
		},
	},
}
