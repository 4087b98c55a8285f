package charts_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/test/bed"
)

func TestMain(m *testing.M) { bed.Main(m) }

// TestServer asks a real API server, with the chart's kinds and admission
// policy in it, what the tests above ask of its parts.
func TestServer(t *testing.T) {
	b := bed.Start(t)
	namespace := b.Namespace(t)
	strict := client.WithFieldValidation(b.Client(), metav1.FieldValidationStrict)
	create := func(data []byte) error {
		obj := object(t, data)
		obj.SetNamespace(namespace)
		return strict.Create(t.Context(), obj)
	}
	installPolicy(t, b.Client(), namespace)

	t.Run("refuses every mistake", func(t *testing.T) {
		bad, err := txtar.ParseFile("../serving/api/v1/testdata/refused.txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range bad.Files {
			if err := create(f.Data); err == nil {
				t.Errorf("%s is accepted", f.Name)
			}
		}
	})
	t.Run("accepts the examples", func(t *testing.T) {
		files, err := filepath.Glob("../examples/*/service.yaml")
		if err != nil || len(files) == 0 {
			t.Fatal("no examples found", err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := create(data); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	})
	t.Run("keeps what the Go types write", func(t *testing.T) {
		want := read[servingv1.Service](t, everyField)
		want.Namespace = namespace
		got := want.DeepCopy()
		if err := strict.Create(t.Context(), got); err != nil {
			t.Fatal(err)
		}
		if got, want := write(t, got.Spec), write(t, want.Spec); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
	})
}

// everyField is a Service with nothing left to default.
const everyField = `
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {name: whole}
spec:
  template:
    metadata:
      name: whole-v1
      labels: {team: a}
      annotations: {autoscaling.knative.dev/min-scale: "1"}
    spec:
      containerConcurrency: 1
      timeoutSeconds: 20
      responseStartTimeoutSeconds: 10
      idleTimeoutSeconds: 5
      enableServiceLinks: true
      automountServiceAccountToken: false
      serviceAccountName: a
      imagePullSecrets: [{name: r}]
      initContainers: [{name: first, image: i}]
      containers:
      - name: app
        image: i
        command: [c]
        args: [a]
        workingDir: /w
        ports: [{name: h2c, containerPort: 81, protocol: TCP}]
        env:
        - {name: A, value: a}
        - {name: B, valueFrom: {secretKeyRef: {name: s, key: k}}}
        envFrom: [{configMapRef: {name: c}}]
        resources: {limits: {cpu: "1"}, requests: {memory: 1Mi}}
        volumeMounts: [{name: p, mountPath: /p}]
        readinessProbe: {httpGet: {path: /up, port: 82}, periodSeconds: 2, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}
        livenessProbe: {grpc: {port: 81}}
        startupProbe: {tcpSocket: {port: h2c}}
        imagePullPolicy: Always
        terminationMessagePolicy: FallbackToLogsOnError
        securityContext: {runAsUser: 1, capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
      - {name: beside, image: i}
      volumes:
      - name: p
        projected: {sources: [{serviceAccountToken: {path: t}}]}
  traffic:
  - {latestRevision: true, percent: 90, tag: new}
  - {revisionName: whole-v0, latestRevision: false, percent: 10}
`

// installPolicy installs the admission policy and waits until it is in force.
func installPolicy(t *testing.T, c client.Client, namespace string) {
	t.Helper()
	for doc := range strings.SplitSeq(render(t, nil), "---\n") {
		if strings.Contains(doc, "kind: ValidatingAdmissionPolicy") {
			if err := c.Create(t.Context(), object(t, []byte(doc))); err != nil {
				t.Fatal(err)
			}
		}
	}
	forbidden := object(t, []byte(`{apiVersion: serving.knative.dev/v1, kind: Route,
metadata: {name: forbidden, annotations: {autoscaling.knative.dev/min-scale: "1"}},
spec: {traffic: [{configurationName: a, percent: 100}]}}`))
	forbidden.SetNamespace(namespace)
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := c.Create(ctx, forbidden.DeepCopy(), client.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "autoscaling annotations belong"), nil
	})
	if err != nil {
		t.Fatalf("waiting for the admission policy: %v", err)
	}
}

func object(t *testing.T, data []byte) *unstructured.Unstructured {
	t.Helper()
	return &unstructured.Unstructured{Object: *read[map[string]any](t, string(data))}
}

func read[T any](t *testing.T, text string) *T {
	t.Helper()
	v := new(T)
	if err := yaml.Unmarshal([]byte(text), v); err != nil {
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
