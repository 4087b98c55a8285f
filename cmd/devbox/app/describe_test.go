package app

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/yaml"

	"github.com/kind-in-a-box/devbox/bootstrap"
	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
)

// twoRevisions is a cluster with a service, two revisions and a pod of each.
func twoRevisions(t *testing.T) (*cluster, *bytes.Buffer, *servingv1.Service) {
	t.Helper()
	kinds := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, servingv1.AddToScheme} {
		if err := add(kinds); err != nil {
			t.Fatal(err)
		}
	}
	ready := servingv1.Status{Conditions: []servingv1.Condition{{Type: servingv1.ConditionReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.Now()}}}
	hello := &servingv1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "hello", CreationTimestamp: metav1.Now()}}
	hello.Status.Status, hello.Status.LatestCreatedRevisionName, hello.Status.LatestReadyRevisionName = ready, "hello-00002", "hello-00002"
	hello.Status.Traffic = []servingv1.TrafficTarget{
		{RevisionName: "hello-00001", Percent: new(int64(90))},
		{RevisionName: "hello-00002", LatestRevision: new(true), Percent: new(int64(10))},
		{RevisionName: "hello-00001", Tag: "old", Percent: new(int64(0))},
	}
	hello.Spec.Template.Spec.Containers = []servingv1.Container{{
		Image: "localhost:5001/hello@sha256:1",
		Env: []servingv1.EnvVar{
			{Name: "TARGET", Value: "a secret of the manifest"},
			{Name: "TOKEN", ValueFrom: &servingv1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "tokens"}}}},
		},
		EnvFrom: []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "words"}}}},
	}}
	build := fake.NewClientBuilder().WithScheme(kinds).WithObjects(hello)
	for i, name := range []string{"hello-00001", "hello-00002"} {
		made := metav1.NewTime(time.Now().Add(time.Duration(i-3) * time.Minute))
		labels := map[string]string{servingv1.ServiceLabel: "hello", servingv1.RevisionLabel: name, servingv1.ConfigurationGenerationLabel: string(rune('1' + i))}
		r := &servingv1.Revision{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: labels, CreationTimestamp: made}}
		r.Spec.Containers = hello.Spec.Template.Spec.Containers
		r.Status.Status, r.Status.ActualReplicas, r.Status.DesiredReplicas = ready, new(int32(1)), new(int32(1))
		r.Status.Annotations = map[string]string{servingv1.ScaleReasonAnnotation: "one request at a time"}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name + "-pod", Labels: labels, CreationTimestamp: made}}
		pod.Status = corev1.PodStatus{
			Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{RestartCount: 2}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}
		build = build.WithObjects(r, pod)
	}
	var out bytes.Buffer
	d := &devbox{name: "devbox", output: textFormat, stdout: &out, stderr: &out}
	return &cluster{d: d, box: &bootstrap.Box{Domain: "example.com", HTTPPort: 8080}, client: build.Build()}, &out, hello
}

func TestDescribeForPeople(t *testing.T) {
	c, out, hello := twoRevisions(t)
	service, err := c.describeService(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.d.list(service, service.print); err != nil {
		t.Fatal(err)
	}
	r, err := c.revision(t.Context(), hello, "hello-00001")
	if err != nil {
		t.Fatal(err)
	}
	revision, err := c.describeRevision(t.Context(), hello, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.d.list(revision, revision.print); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(regexp.MustCompile(`\b[0-9]+[ms0-9]*[ms]\b`).ReplaceAllString(out.String(), "AGE"), "\n")
	for i := range lines {
		lines[i] = strings.Join(strings.Fields(lines[i]), " ")
	}
	want := `Service: hello in namespace default
URL: http://hello.default.localhost:8080
Host: hello.default.example.com
Age: AGE
Ready: True

TRAFFIC REVISION TAG HOST
90% hello-00001 - -
10% hello-00002 (@latest) - -
0% hello-00001 old old-hello.default.example.com

REVISION SERVICE TRAFFIC TAGS GENERATION AGE PODS READY REASON
hello-00002 hello 10% - 2 AGE 1/1 True
hello-00001 hello 90% old 1 AGE 1/1 True

CONTAINER PORT IMAGE
user-container 8080 localhost:5001/hello@sha256:1

VARIABLE OF FROM
TARGET user-container the manifest
TOKEN user-container Secret tokens
* user-container ConfigMap words

CONDITION STATUS FOR REASON
Ready True AGE
Revision: hello-00001 of service hello in namespace default
Traffic: 90%
Tags: old
Age: AGE
Ready: True
Pods: 1 of 1; one request at a time

POD READY STATUS RESTARTS AGE
hello-00001-pod True Running 2 AGE

CONTAINER PORT IMAGE
user-container 8080 localhost:5001/hello@sha256:1

VARIABLE OF FROM
TARGET user-container the manifest
TOKEN user-container Secret tokens
* user-container ConfigMap words

CONDITION STATUS FOR REASON
Ready True AGE
`
	if diff := cmp.Diff(want, strings.Join(lines, "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDescribeForPrograms: YAML says what JSON says, and neither has a value of a
// variable.
func TestDescribeForPrograms(t *testing.T) {
	c, out, hello := twoRevisions(t)
	said, err := c.describeService(t.Context(), hello)
	if err != nil {
		t.Fatal(err)
	}
	var both [2]map[string]any
	for i, format := range []string{jsonFormat, yamlFormat} {
		out.Reset()
		c.d.output = format
		if err := c.d.list(said, said.print); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "secret of") {
			t.Errorf("%s shows a value:\n%s", format, out)
		}
		read := yaml.Unmarshal
		if format == jsonFormat {
			read = func(data []byte, into any, _ ...yaml.JSONOpt) error { return json.Unmarshal(data, into) }
		}
		if err := read(out.Bytes(), &both[i]); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, out)
		}
	}
	if diff := cmp.Diff(both[0], both[1]); diff != "" || both[0]["serving"] != "hello-00001" {
		t.Errorf("serving %v; (-json +yaml):\n%s", both[0]["serving"], diff)
	}
}

// TestWhatIsNotThere is named with what is.
func TestWhatIsNotThere(t *testing.T) {
	c, _, hello := twoRevisions(t)
	for name, ask := range map[string]func() error{
		`there is no service "helo"; the services are default/hello`: func() error {
			return second(c.oneService(t.Context(), "describe", "helo"))
		},
		`hello has no revision "hello-00003"; the revisions are hello-00002, hello-00001`: func() error {
			return c.areReady(t.Context(), hello, deploy.Split{Shares: []deploy.Share{{To: "@latest", Percent: 10}, {To: "hello-00003", Percent: 90}}})
		},
	} {
		if err := ask(); err == nil || err.Error() != name {
			t.Errorf("%v, want %s", err, name)
		}
	}
}

func TestNewestPod(t *testing.T) {
	c, _, hello := twoRevisions(t)
	pod, container, err := c.newestPod(t.Context(), "hello")
	if err != nil || pod.Name != "hello-00002-pod" || container != servingv1.UserContainer {
		t.Errorf("pod %v, container %q, %v", pod, container, err)
	}
	for _, name := range []string{"hello-00001-pod", "hello-00002-pod"} {
		if err := c.client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: hello.Namespace, Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := c.newestPod(t.Context(), "hello"); err == nil || !strings.Contains(next(err), "curl -H 'Host: hello.default.example.com'") {
		t.Errorf("without a pod: %v, next %q", err, next(err))
	}
}

func TestSplitFlags(t *testing.T) {
	got, err := newSplit([]string{"hello-00001=90%", "@latest=10"}, []string{"@latest=new"}, nil)
	want := deploy.Split{Shares: []deploy.Share{{To: "hello-00001", Percent: 90}, {To: deploy.Latest, Percent: 10}}, Tags: []deploy.Tag{{To: deploy.Latest, Name: "new"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, wrong := range []string{"hello", "=90", "hello=", "hello=many"} {
		if _, err := newSplit([]string{wrong}, nil, nil); err == nil || !strings.Contains(err.Error(), "REVISION=PERCENT") {
			t.Errorf("--to %s: %v", wrong, err)
		}
	}
}
