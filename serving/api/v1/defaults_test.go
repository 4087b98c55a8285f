package v1_test

import (
	"testing"

	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"smallest", `
containers: [{image: i}]`, `
containerConcurrency: 0
containers:
- image: i
  name: user-container
  readinessProbe:
    successThreshold: 1
    tcpSocket: {}
enableServiceLinks: false
idleTimeoutSeconds: 0
responseStartTimeoutSeconds: 300
timeoutSeconds: 300
`},
		{"what is written stays", `
containerConcurrency: 1
enableServiceLinks: true
timeoutSeconds: 20
responseStartTimeoutSeconds: 5
idleTimeoutSeconds: 3
containers: [{name: app, image: i, ports: [{name: h2c, containerPort: 81}], readinessProbe: {httpGet: {path: /up}, periodSeconds: 2}}]`, `
containerConcurrency: 1
containers:
- image: i
  name: app
  ports:
  - containerPort: 81
    name: h2c
  readinessProbe:
    failureThreshold: 3
    httpGet:
      path: /up
    periodSeconds: 2
    successThreshold: 1
    timeoutSeconds: 1
enableServiceLinks: true
idleTimeoutSeconds: 3
responseStartTimeoutSeconds: 5
timeoutSeconds: 20
`},
		{"one of several takes the requests", `
timeoutSeconds: 10
initContainers: [{image: a}, {image: b}]
containers: [{image: c}, {image: d, ports: [{name: http1}]}]`, `
containerConcurrency: 0
containers:
- image: c
  name: user-container-0
- image: d
  name: user-container-1
  ports:
  - containerPort: 8080
    name: http1
  readinessProbe:
    successThreshold: 1
    tcpSocket: {}
enableServiceLinks: false
idleTimeoutSeconds: 0
initContainers:
- image: a
  name: init-container-0
- image: b
  name: init-container-1
responseStartTimeoutSeconds: 10
timeoutSeconds: 10
`},
		{"a default name that somebody has", `
initContainers: [{image: a}]
containers: [{name: user-container-0, image: b, ports: [{name: http1}]}, {image: c}, {name: init-container, image: d}]`, `
containerConcurrency: 0
containers:
- image: b
  name: user-container-0
  ports:
  - containerPort: 8080
    name: http1
  readinessProbe:
    successThreshold: 1
    tcpSocket: {}
- image: c
  name: user-container-1
- image: d
  name: init-container
enableServiceLinks: false
idleTimeoutSeconds: 0
initContainers:
- image: a
  name: init-container-0
responseStartTimeoutSeconds: 300
timeoutSeconds: 300
`},
	} {
		t.Run(c.name, func(t *testing.T) {
			spec := read[servingv1.RevisionSpec](t, c.in)
			spec.SetDefaults()
			once := write(t, spec)
			if "\n"+once != c.want {
				t.Errorf("got\n%swant%s", once, c.want)
			}
			spec.SetDefaults()
			if twice := write(t, spec); twice != once {
				t.Errorf("a second time changes it to\n%s", twice)
			}
		})
	}
}

func TestTrafficDefaults(t *testing.T) {
	s := read[servingv1.Service](t, "spec: {}")
	s.SetDefaults()
	if got, want := write(t, s.Spec.Traffic), "- latestRevision: true\n  percent: 100\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	s = read[servingv1.Service](t, "spec: {traffic: [{revisionName: hello-00001, percent: 100}, {tag: new}]}")
	s.SetDefaults()
	if got, want := write(t, s.Spec.Traffic), "- latestRevision: false\n  percent: 100\n  revisionName: hello-00001\n- latestRevision: true\n  tag: new\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.UnmarshalStrict([]byte(text), v); err != nil {
		t.Fatal(err)
	}
	return v
}

func write(t *testing.T, v any) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
