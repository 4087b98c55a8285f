package charts_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/bootstrap/images"
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
		for _, f := range refused(t) {
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
	t.Run("takes a template's metadata as typed clients write it", func(t *testing.T) {
		for _, kind := range []string{"Service", "Configuration"} {
			text := []byte(`{apiVersion: serving.knative.dev/v1, kind: ` + kind + `, metadata: {name: generated},
spec: {template: {metadata: {creationTimestamp: null, generateName: x-, namespace: other, finalizers: [a/b], uid: u, resourceVersion: "1",
generation: 2, selfLink: s, ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}], labels: {a: b}}, spec: {containers: [{image: i}]}}}}`)
			if err := create(text); err != nil {
				t.Errorf("%s created: %v", kind, err)
			}
			applied := object(t, text)
			applied.SetNamespace(namespace)
			applied.SetName("applied")
			err := strict.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(applied), client.FieldOwner("kubectl"), client.ForceOwnership)
			if err != nil {
				t.Errorf("%s applied by the server: %v", kind, err)
			}
		}
	})
	t.Run("takes containers without names", func(t *testing.T) {
		if err := create([]byte(`{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: nameless},
spec: {template: {spec: {containers: [{name: "", image: i, ports: [{containerPort: 81}]}, {name: "", image: i}]}}}}`)); err != nil {
			t.Error(err)
		}
	})
	t.Run("refuses mappings that cannot be", func(t *testing.T) { mappings(t, create, namespace) })
	t.Run("writes down who made it and who changed it", func(t *testing.T) { users(t, b, namespace) })
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

// mappings asks what the server says of DomainMappings that are wrong.
func mappings(t *testing.T, create func([]byte) error, namespace string) {
	t.Helper()
	const ref = "apiVersion: serving.knative.dev/v1, kind: Service, name: hello"
	for _, c := range []struct{ metadata, spec, want string }{
		{"name: right.example.com", "ref: {" + ref + "}", ""},
		{"name: same-namespace.example.com", "ref: {" + ref + ", namespace: " + namespace + "}", ""},
		{"name: a-route.example.com", "ref: {apiVersion: serving.knative.dev/v1, kind: Route, name: hello}", ""},
		{"name: hello.localhost", "ref: {" + ref + "}", ""},
		{"name: localhost", "ref: {" + ref + "}", "metadata.name: is the host, and must be a name of at least two labels"},
		{"name: 127.0.0.1", "ref: {" + ref + "}", "metadata.name: is the host"},
		{"name: " + strings.Repeat("a", 64) + ".example.com", "ref: {" + ref + "}", "metadata.name: is the host"},
		{"name: hello.default.svc.cluster.local", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: hello.default.svc", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: devbox.localhost", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: " + string(images.Prometheus) + ".localhost", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: " + string(images.Zipkin) + ".localhost", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: " + string(images.Grafana) + ".localhost", "ref: {" + ref + "}", "those names are the box's own"},
		{"name: host.devbox.internal", "ref: {" + ref + "}", "those names are the box's own"},
		{"generateName: some.example.com", "ref: {" + ref + "}", "metadata.generateName: must not be set"},
		{"name: elsewhere.example.com", "ref: {" + ref + ", namespace: elsewhere}", "spec.ref.namespace: must be absent, or " + namespace},
		{"name: kubernetes.example.com", "ref: {apiVersion: v1, kind: Service, name: hello}", `spec.ref.apiVersion: Unsupported value: "v1"`},
		{"name: kind.example.com", "ref: {apiVersion: serving.knative.dev/v1, kind: Revision, name: hello}", `spec.ref.kind: Unsupported value: "Revision"`},
		{"name: nameless.example.com", "ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: ''}", "spec.ref.name"},
		{"name: ref.example.com", "{}", "spec.ref: Required value"},
		{"name: tls.example.com", "ref: {" + ref + "}, tls: {secretName: s}", "spec.tls: Invalid value: must not be set: a box's gateway takes HTTP alone"},
		{"name: field.example.com", "ref: {" + ref + ", address: a}", `unknown field "spec.ref.address"`},
	} {
		spec := c.spec
		if spec != "{}" {
			spec = "{" + spec + "}"
		}
		err := create([]byte("{apiVersion: serving.knative.dev/v1beta1, kind: DomainMapping, metadata: {" + c.metadata + "}, spec: " + spec + "}"))
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.metadata, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s, %s: %v; want %q", c.metadata, c.spec, err, c.want)
		}
	}
}

// users asks who the server says made an object, and changed it.
func users(t *testing.T, b *bed.Bed, namespace string) {
	t.Helper()
	as := func(user string) client.Client {
		config := rest.CopyConfig(b.REST())
		config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:masters"}}
		c, err := client.New(config, client.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, text := range []string{
		`{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: whose}, spec: {template: {spec: {containers: [{image: i}]}}}}`,
		`{apiVersion: serving.knative.dev/v1, kind: Configuration, metadata: {name: whose}, spec: {template: {spec: {containers: [{image: i}]}}}}`,
		`{apiVersion: serving.knative.dev/v1, kind: Route, metadata: {name: whose}, spec: {traffic: [{configurationName: whose, percent: 100}]}}`,
		`{apiVersion: serving.knative.dev/v1beta1, kind: DomainMapping, metadata: {name: whose.example.com}, spec: {ref: {apiVersion: serving.knative.dev/v1, kind: Service, name: whose}}}`,
	} {
		obj := object(t, []byte(text))
		obj.SetNamespace(namespace)
		obj.SetAnnotations(map[string]string{servingv1.CreatorAnnotation: "mallory", "mine": "stays"})
		if err := as("alice").Create(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		said := func(when, creator, modifier string) {
			t.Helper()
			if got := obj.GetAnnotations(); got[servingv1.CreatorAnnotation] != creator || got[servingv1.LastModifierAnnotation] != modifier || got["mine"] != "stays" {
				t.Errorf("%s, %s: %v, want creator %s and lastModifier %s", obj.GetKind(), when, got, creator, modifier)
			}
		}
		said("made", "alice", "alice")

		obj.SetLabels(map[string]string{"a": "b"})
		if err := as("bob").Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		said("labelled by another", "alice", "alice")

		obj.SetAnnotations(map[string]string{"mine": "stays", servingv1.CreatorAnnotation: "mallory", servingv1.LastModifierAnnotation: "mallory"})
		obj.Object["spec"] = object(t, []byte(strings.NewReplacer("image: i", "image: j", "configurationName: whose", "configurationName: other", "name: whose}}", "name: other}}").Replace(text))).Object["spec"]
		if err := as("bob").Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		said("changed by another", "alice", "bob")
	}
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
	serving := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: servingv1.Namespace}}
	if err := c.Create(t.Context(), serving); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
	for doc := range strings.SplitSeq(render(t, nil), "---\n") {
		if strings.Contains(doc, "kind: ValidatingAdmissionPolicy") || strings.Contains(doc, "name: devbox-in-force\n") {
			if err := c.Create(t.Context(), object(t, []byte(doc))); err != nil {
				t.Fatal(err)
			}
		}
	}
	forbidden := object(t, []byte(`{apiVersion: serving.knative.dev/v1, kind: Route,
metadata: {name: forbidden, annotations: {autoscaling.knative.dev/min-scale: "1"}},
spec: {traffic: [{configurationName: a, percent: 100}]}}`))
	forbidden.SetNamespace(namespace)
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		err := c.Create(ctx, forbidden.DeepCopy(), client.DryRunAll)
		last = err
		return err != nil && strings.Contains(err.Error(), "autoscaling annotations belong"), nil
	})
	if err != nil {
		t.Fatalf("waiting for the admission policy: %v; the server says: %v", err, last)
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
