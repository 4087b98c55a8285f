package delve

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// decode is a Service from its manifest.
func decode(t *testing.T, manifest string) *servingv1.Service {
	t.Helper()
	s, err := servingv1.Decode("service.yaml", []byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const before = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec:
  template:
    metadata:
      annotations: {autoscaling.knative.dev/maxScale: "0", autoscaling.knative.dev/initial-scale: "3", kept: "yes"}
    spec:
      timeoutSeconds: 2
      responseStartTimeoutSeconds: 1
      idleTimeoutSeconds: 1
      containers:
        - image: ko://example.com/hello
          args: [--loud]
          ports: [{containerPort: 9000}]
          resources: {requests: {cpu: 10m}, limits: {memory: 64Mi}}
          livenessProbe: {httpGet: {path: /}}
          readinessProbe: {httpGet: {path: /}}
          startupProbe: {httpGet: {path: /}}
        - name: beside
          image: registry.example.com/beside:v1
`

const after = `apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: hello}
spec:
  template:
    metadata:
      annotations:
        autoscaling.knative.dev/min-scale: "1"
        autoscaling.knative.dev/max-scale: "1"
        serving.knative.dev/progress-deadline: 24h
        kind-in-a-box.github.io/delve-port: "30001"
        kept: "yes"
    spec:
      timeoutSeconds: 600
      responseStartTimeoutSeconds: 600
      idleTimeoutSeconds: 0
      containers:
        - image: ko://example.com/hello
          command: [/dlv, exec, --headless, --api-version=2, "--listen=127.0.0.1:30001", --accept-multiclient, --continue, --check-go-version=false, --only-same-user=false, /ko-app/hello, --]
          args: [--loud]
          ports: [{containerPort: 9000}]
          resources: {requests: {cpu: 10m}}
        - name: beside
          image: registry.example.com/beside:v1
`

// TestTemplate: nothing ends what stands or takes it out of the traffic, and
// nothing else is changed.
func TestTemplate(t *testing.T) {
	s := decode(t, before)
	got := Template(s, Program{Delve: "/dlv", Command: []string{"/ko-app/hello"}, Port: 30001, Timeout: 600})
	if diff := cmp.Diff(decode(t, after), got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(decode(t, before), s); diff != "" {
		t.Errorf("the Service itself is changed: %s", diff)
	}
}

// TestCommandOfTheManifest: it wins over the image's, and keeps its arguments.
func TestCommandOfTheManifest(t *testing.T) {
	p := Program{Delve: "/dlv", Command: []string{"/ko-app/hello"}, Port: 1}
	s := decode(t, before)
	s.Spec.Template.Spec.Containers[0].Command = []string{"/ko-app/hello", "serve"}
	command := Template(s, p).Spec.Template.Spec.Containers[0].Command
	if diff := cmp.Diff([]string{"/ko-app/hello", "--", "serve"}, command[len(command)-3:]); diff != "" {
		t.Error(diff)
	}
}

// TestPort: the same of the same, which is then the same template; another of
// another service, and of another image.
func TestPort(t *testing.T) {
	one := Port("default/hello", "hello@sha256:1")
	if again := Port("default/hello", "hello@sha256:1"); again != one {
		t.Errorf("%d, and then %d", one, again)
	}
	for _, other := range []int{Port("default/other", "hello@sha256:1"), Port("default/hello", "hello@sha256:2")} {
		if other == one || other < 30000 || other >= 32000 {
			t.Errorf("%d beside %d", other, one)
		}
	}
}
