package activator

import (
	"context"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
	"github.com/kind-in-a-box/devbox/serving/proxy"
)

// TestCleared has slim's pods, which are what the activator sees.
func TestCleared(t *testing.T) {
	probe, always := &corev1.Probe{}, corev1.ContainerRestartPolicyAlways
	user := corev1.Container{Name: "user", Ports: []corev1.ContainerPort{{Name: servingv1.UserPortName}}}
	queue := corev1.Container{Name: servingv1.QueueContainer, ReadinessProbe: probe}
	with := func(c corev1.Container, change func(*corev1.Container)) corev1.Container { change(&c); return c }
	startup := with(user, func(c *corev1.Container) { c.StartupProbe = probe })
	readiness := with(user, func(c *corev1.Container) { c.ReadinessProbe = probe })
	side := corev1.Container{Name: "side"}
	sideProbed := corev1.Container{Name: "side", ReadinessProbe: probe}
	first := corev1.Container{Name: "first", StartupProbe: probe}
	beside := corev1.Container{Name: "first", RestartPolicy: &always, StartupProbe: probe}
	status := func(name string, ready bool) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, Ready: ready, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	}
	ended := func(name string) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}}}
	}
	backOff := func(name string) corev1.ContainerStatus {
		s := corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{}}}
		s.LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1}
		return s
	}
	for name, c := range map[string]struct {
		init, main []corev1.Container
		statuses   []corev1.ContainerStatus
		want       bool
	}{
		"no probe, no word":                      {nil, []corev1.Container{user, queue}, nil, true},
		"queue-proxy is asked by ourselves":      {nil, []corev1.Container{user, queue}, []corev1.ContainerStatus{status("user", true), status(servingv1.QueueContainer, false)}, true},
		"and a sidecar of Istio's is passed":     {nil, []corev1.Container{user, {Name: mesh.ProxyContainer, ReadinessProbe: probe, StartupProbe: probe}}, nil, true},
		"a startup probe, no word":               {nil, []corev1.Container{startup, queue}, nil, false},
		"a startup probe that has not passed":    {nil, []corev1.Container{startup, queue}, []corev1.ContainerStatus{status("user", false)}, false},
		"a startup probe that has":               {nil, []corev1.Container{startup, queue}, []corev1.ContainerStatus{status("user", true)}, true},
		"a command as readiness probe":           {nil, []corev1.Container{readiness, queue}, []corev1.ContainerStatus{status("user", false)}, false},
		"readiness of a container beside":        {nil, []corev1.Container{user, sideProbed}, []corev1.ContainerStatus{status("user", true), status("side", false)}, false},
		"a container beside, not started yet":    {nil, []corev1.Container{user, side}, []corev1.ContainerStatus{status("user", true)}, true},
		"a container beside that has ended":      {nil, []corev1.Container{user, side}, []corev1.ContainerStatus{status("user", true), ended("side")}, false},
		"a container beside in back-off":         {nil, []corev1.Container{user, side}, []corev1.ContainerStatus{status("user", true), backOff("side")}, false},
		"a container beside that runs again":     {nil, []corev1.Container{user, side}, []corev1.ContainerStatus{status("user", true), status("side", true)}, true},
		"queue-proxy knows of the serving one":   {nil, []corev1.Container{user, side}, []corev1.ContainerStatus{ended("user"), status("side", true)}, true},
		"a container that runs first has probes": {[]corev1.Container{first}, []corev1.Container{user}, nil, true},
		"one that runs on and is not ready":      {[]corev1.Container{beside}, []corev1.Container{user}, []corev1.ContainerStatus{status("first", false)}, false},
		"one that runs on and is":                {[]corev1.Container{beside}, []corev1.Container{user}, []corev1.ContainerStatus{status("first", true)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := makePod("p", "hello-00001", "10.0.0.1")
			p.Spec.InitContainers, p.Spec.Containers = c.init, c.main
			for _, s := range c.statuses {
				if slices.ContainsFunc(c.init, func(c corev1.Container) bool { return c.Name == s.Name }) {
					p.Status.InitContainerStatuses = append(p.Status.InitContainerStatuses, s)
				} else {
					p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, s)
				}
			}
			seen, err := slim(&p)
			if err != nil {
				t.Fatal(err)
			}
			if got := cleared(seen.(*corev1.Pod)); got != c.want {
				t.Errorf("cleared is %t, want %t", got, c.want)
			}
		})
	}
}

// A request from zero waits for a probe that is kubelet's, though the program
// listens and queue-proxy says so; and where the probe fails later, the pod is
// given nothing until it passes again.
func TestKubeletsProbesAreWaitedFor(t *testing.T) {
	b := newBox(t)
	b.revision("hello-00001", func(*servingv1.Revision) {})
	b.route(to("hello-00001", 100))
	s := b.pod("p", "hello-00001", says("warm"))
	kubelet := func(ready bool) {
		b.change(func(o *objects) {
			o.pods = without(o.pods, s.pod.UID)
			p := s.pod.DeepCopy()
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "user", StartupProbe: &corev1.Probe{}})
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "user", Ready: ready}}
			o.pods = append(o.pods, *p)
		})
	}
	b.answers("hello-00001", 1) // before it has a probe: queue-proxy says yes
	for range 2 {
		kubelet(false)
		b.answers("hello-00001", 0)
		answer := make(chan string, 1)
		go func() { answer <- b.get(newClient(t, false), "/") }()
		b.waiting("hello-00001", 1)
		select {
		case got := <-answer:
			t.Fatalf("answered before the probe passed: %s", got)
		default:
		}
		kubelet(true)
		if got := <-answer; got != "200 warm" {
			t.Errorf("got %q", got)
		}
	}
}

// A program that listens and ends in the same moment is not live: the
// revision's first pod is asked twice.
func TestANewRevisionIsAskedTwice(t *testing.T) {
	for name, ready := range map[string]bool{"new": false, "proven": true} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan string, 1)
			object := makeRevision("hello-00001", func(r *servingv1.Revision) {
				r.Status.InitializeConditions()
				if ready {
					r.Status.MarkContainerHealthyTrue()
					r.Status.MarkResourcesAvailableTrue()
				}
			})
			p := &pod{podSpec: podSpec{name: "p", address: "pod:8012"}}
			p.revision = &revision{spec: specOf(&object)}
			prober := &prober{transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				asked <- r.Header.Get(proxy.Prove)
				return nil, http.ErrServerClosed
			})}
			_ = prober.ask(context.Background(), p)
			if got := <-asked; got == "true" == ready {
				t.Errorf("the probe of a %s revision asks for proof: %q", name, got)
			}
		})
	}
}
