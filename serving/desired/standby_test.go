package desired_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/desired"
	"github.com/kind-in-a-box/devbox/serving/standby"
	"github.com/kind-in-a-box/devbox/serving/trace"
)

// stander is a service that a pod stands by for, and what ko has built of it.
func stander() *servingv1.Service {
	svc := &servingv1.Service{}
	svc.Name, svc.Namespace = "hello", "default"
	svc.Spec.Template.Spec.Containers = []servingv1.Container{{
		Image: "localhost:5001/hello@sha256:1",
		Env:   []servingv1.EnvVar{{Name: "TARGET", Value: "World"}},
	}}
	return svc
}

func built(app string) desired.Image {
	return desired.Image{
		Base:   []string{"sha256:base"},
		Layers: []standby.Layer{{URL: "http://registry/kodata", Digest: "sha256:kodata", Size: 1}, {URL: "http://registry/" + app, Digest: "sha256:" + app, Size: 2}},
		User:   "65532:65532", Env: []string{"PATH=/ko-app:/bin", "KO_DATA_PATH=/var/run/ko"}, Program: []string{"/ko-app/hello"},
	}
}

// podOf is the pod of svc's revision with this generation.
func podOf(svc *servingv1.Service, generation int64, place desired.Place) *corev1.Pod {
	c := desired.Configuration(svc)
	c.UID, c.Generation = "config-uid", generation
	rev := desired.Revision(c, servingv1.KnativeDefaults(), someDay)
	rev.UID = "revision-uid"
	return desired.Pod(rev, queue, place)
}

// TestAdopt is the transcript testdata/adopt.txt: of each change to the service
// and its image, how the pod that stands by becomes one of the new revision, or
// why it does not.
func TestAdopt(t *testing.T) {
	container := func(change func(*servingv1.Container)) func(*servingv1.Service, *desired.Image, *desired.Place) {
		return func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			change(&svc.Spec.Template.Spec.Containers[0])
		}
	}
	image := func(change func(*desired.Image)) func(*servingv1.Service, *desired.Image, *desired.Place) {
		return func(_ *servingv1.Service, image *desired.Image, _ *desired.Place) { change(image) }
	}
	spec := func(change func(*servingv1.RevisionSpec)) func(*servingv1.Service, *desired.Image, *desired.Place) {
		return func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) { change(&svc.Spec.Template.Spec) }
	}
	probe := &servingv1.Probe{HTTPGet: &servingv1.HTTPGetAction{Path: "/"}}
	var out strings.Builder
	for _, test := range []struct {
		title  string
		change func(*servingv1.Service, *desired.Image, *desired.Place)
	}{
		{"nothing: it comes back from zero", image(func(*desired.Image) {})},
		{"an edit of the code", image(func(i *desired.Image) { i.Layers = built("app2").Layers })},
		{"an edit of kodata", image(func(i *desired.Image) { i.Layers[0].Digest = "sha256:kodata2" })},
		{"a variable, and one more", container(func(c *servingv1.Container) {
			c.Env[0].Value = "You"
			c.Env = append(c.Env, servingv1.EnvVar{Name: "MORE", Value: "1"})
		})},
		{"arguments", container(func(c *servingv1.Container) { c.Args = []string{"-v"} })},
		{"a command and its arguments", container(func(c *servingv1.Container) {
			c.Command, c.Args = []string{"/bin/sh", "-c"}, []string{"exec hello"}
		})},
		{"a working directory", container(func(c *servingv1.Container) { c.WorkingDir = "/tmp" })},
		{"a request timeout of queue-proxy's", spec(func(s *servingv1.RevisionSpec) { s.ResponseStartTimeoutSeconds = new(int64(5)) })},
		{"a limit of concurrency", spec(func(s *servingv1.RevisionSpec) { s.ContainerConcurrency = new(int64(1)) })},
		{"a readiness probe, which queue-proxy makes", container(func(c *servingv1.Container) { c.ReadinessProbe = probe })},
		{"a label of the template's", func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			svc.Spec.Template.Labels = map[string]string{"tier": "front"}
		}},
		{"the port", container(func(c *servingv1.Container) { c.Ports = []servingv1.ContainerPort{{ContainerPort: 3000}} })},
		{"the time to end in", spec(func(s *servingv1.RevisionSpec) { s.TimeoutSeconds = new(int64(30)) })},
		{"memory", container(func(c *servingv1.Container) {
			c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi")}
		})},
		{"the service account", spec(func(s *servingv1.RevisionSpec) { s.ServiceAccountName = "robot" })},
		{"the user", container(func(c *servingv1.Container) {
			c.SecurityContext = &servingv1.SecurityContext{RunAsUser: new(int64(1000))}
		})},
		{"a root file system that cannot be written", container(func(c *servingv1.Container) {
			c.SecurityContext = &servingv1.SecurityContext{ReadOnlyRootFilesystem: new(true)}
		})},
		{"a liveness probe", container(func(c *servingv1.Container) { c.LivenessProbe = probe })},
		{"a volume of a Secret, and there was none", func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			s := &svc.Spec.Template.Spec
			s.Volumes = []servingv1.Volume{{Name: "keys", Secret: &corev1.SecretVolumeSource{SecretName: "keys"}}}
		}},
		{"a volume with the labels of the pod", func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			s := &svc.Spec.Template.Spec
			s.Volumes = []servingv1.Volume{{Name: "about", Projected: &servingv1.ProjectedVolumeSource{
				Sources: []servingv1.VolumeProjection{{DownwardAPI: &corev1.DownwardAPIProjection{}}},
			}}}
		}},
		{"an empty volume over the program", func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			s := &svc.Spec.Template.Spec
			s.Volumes = []servingv1.Volume{{Name: "room", EmptyDir: &corev1.EmptyDirVolumeSource{}}}
			s.Containers[0].VolumeMounts = []servingv1.VolumeMount{{Name: "room", MountPath: "/var"}}
		}},
		{"an empty volume elsewhere", func(svc *servingv1.Service, _ *desired.Image, _ *desired.Place) {
			s := &svc.Spec.Template.Spec
			s.Volumes = []servingv1.Volume{{Name: "room", EmptyDir: &corev1.EmptyDirVolumeSource{}}}
			s.Containers[0].VolumeMounts = []servingv1.VolumeMount{{Name: "room", MountPath: "/data"}}
		}},
		{"variables of a ConfigMap, and there were none", container(func(c *servingv1.Container) {
			c.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "words"}}}}
		})},
		{"a variable of a Secret, and there was none", container(func(c *servingv1.Container) {
			c.Env[0] = servingv1.EnvVar{Name: "KEY", ValueFrom: &servingv1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "key"}}}
		})},
		{"a variable that refers to another", container(func(c *servingv1.Container) { c.Env[0].Value = "$(HOME)" })},
		{"arguments that refer to a variable", container(func(c *servingv1.Container) { c.Args = []string{"-home=$(HOME)"} })},
		{"a second container", spec(func(s *servingv1.RevisionSpec) {
			s.Containers[0].Ports = []servingv1.ContainerPort{{ContainerPort: 8080}}
			s.Containers = append(s.Containers, servingv1.Container{Name: "beside", Image: "beside"})
		})},
		{"an init container", spec(func(s *servingv1.RevisionSpec) {
			s.InitContainers = []servingv1.Container{{Name: "first", Image: "first"}}
		})},
		{"a pull secret", spec(func(s *servingv1.RevisionSpec) { s.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "key"}} })},
		{"another base image", image(func(i *desired.Image) { i.Base = []string{"sha256:other"} })},
		{"another user of the image", image(func(i *desired.Image) { i.User = "0" })},
		{"another variable of the image", image(func(i *desired.Image) { i.Env = []string{"PATH=/bin"} })},
		{"an image without a program", image(func(i *desired.Image) { i.Program = nil })},
		{"a namespace in the mesh", func(_ *servingv1.Service, _ *desired.Image, place *desired.Place) { place.Mesh = true }},
		{"another node", func(_ *servingv1.Service, _ *desired.Image, place *desired.Place) { place.Node = "worker" }},
	} {
		before, after := stander(), stander()
		had, want := built("app"), built("app")
		place := desired.Place{Node: "node"}
		test.change(after, &want, &place)
		template, wanted := podOf(before, 1, desired.Place{Node: "node"}), podOf(after, 2, place)
		untouched := template.DeepCopy()
		orders, why := desired.Adopt(template, wanted, had, want)
		equal(t, "the template", untouched, template)
		fmt.Fprintf(&out, "# %s\n", test.title)
		if why != "" {
			fmt.Fprintf(&out, "no: %s\n\n", why)
			continue
		}
		fmt.Fprintf(&out, "%s\n", told(orders))
	}
	file := filepath.Join("testdata", "adopt.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, file, strings.Split(string(golden), "\n"), strings.Split(out.String(), "\n"))
}

// told are orders in short: what of queue-proxy is told is the same nearly
// always.
func told(orders map[string]*standby.Order) string {
	user := orders[servingv1.UserContainer]
	var layers, env, queue []string
	for _, l := range user.Layers {
		layers = append(layers, l.Digest)
	}
	for _, name := range slices.Sorted(maps.Keys(user.Env)) {
		env = append(env, name+"="+user.Env[name])
	}
	for _, name := range slices.Sorted(maps.Keys(orders[servingv1.QueueContainer].Env)) {
		switch name {
		case "SERVING_REVISION", "CONTAINER_CONCURRENCY", "REVISION_RESPONSE_START_TIMEOUT_SECONDS", "SERVING_READINESS_PROBE":
			queue = append(queue, name+"="+orders[servingv1.QueueContainer].Env[name])
		}
	}
	return fmt.Sprintf("runs:        %q in %q\nlayers:      %s\nenvironment: %s\nqueue-proxy: %s\n",
		user.Args, user.Dir, strings.Join(layers, " "), strings.Join(env, " "), strings.Join(queue, " "))
}

// TestStandbyPod is the pod that waits, and what is written onto it when it is
// adopted.
func TestStandbyPod(t *testing.T) {
	svc := stander()
	svc.Spec.Template.Annotations = map[string]string{"autoscaling.knative.dev/window": "6s"}
	config := desired.Configuration(svc)
	config.UID = "config-uid"
	template := podOf(svc, 1, desired.Place{Node: "node"})
	pod := desired.StandbyPod(template, config, desired.Waiting{Image: "localhost:5001/devbox/standby@sha256:2", URL: "http://controller/standby", Token: "token"})
	svc.Spec.Template.Annotations = nil
	pod.UID = "pod-uid"
	golden(t, filepath.Join("testdata", "standby.golden.yaml"), pod, desired.Adopted(pod, podOf(svc, 2, desired.Place{Node: "node"}), "2026-11-22T12:00:00Z"))
	if why := desired.CannotWait(template); why != "" {
		t.Errorf("it cannot wait: %s", why)
	}
}

// TestSources are what a pod has its values from, by whichever road. A pod that
// has some is adopted like any other, once it is known that they say the same.
// TestStandbyWhereTracesGo: the collector's address is in the pod that waits, where
// the node makes it one that holds there, and no order writes over it; with
// another one the pod is not adopted.
func TestStandbyWhereTracesGo(t *testing.T) {
	traced := func(endpoint string) *corev1.Pod {
		c := desired.Configuration(stander())
		rev := desired.Revision(c, servingv1.KnativeDefaults(), someDay)
		q := queue
		q.Tracing = trace.Settings{Protocol: trace.Zipkin, Endpoint: endpoint, Rate: 1}
		return desired.Pod(rev, q, desired.Place{})
	}
	template := traced("http://127.0.0.1:9411/api/v2/spans")
	waits := desired.StandbyPod(template, desired.Configuration(stander()), desired.Waiting{})
	i := slices.IndexFunc(waits.Spec.Containers, func(c corev1.Container) bool { return c.Name == servingv1.QueueContainer })
	if !slices.Contains(waits.Spec.Containers[i].Env, corev1.EnvVar{Name: "TRACING_ENDPOINT", Value: "http://127.0.0.1:9411/api/v2/spans"}) {
		t.Errorf("queue-proxy waits with %v", waits.Spec.Containers[i].Env)
	}
	orders, why := desired.Adopt(template, template, built("one"), built("two"))
	if why != "" {
		t.Fatal(why)
	}
	if at, ok := orders[servingv1.QueueContainer].Env["TRACING_ENDPOINT"]; ok {
		t.Errorf("it is ordered to trace to %s", at)
	}
	if orders[servingv1.QueueContainer].Env["TRACING_PROTOCOL"] != "zipkin" {
		t.Errorf("its orders are %v", orders[servingv1.QueueContainer].Env)
	}
	if _, why = desired.Adopt(template, traced("http://127.0.0.1:9412/api/v2/spans"), built("one"), built("two")); why == "" {
		t.Error("it is adopted with another collector")
	}
}

func TestSources(t *testing.T) {
	svc := stander()
	named := func(name string) corev1.LocalObjectReference { return corev1.LocalObjectReference{Name: name} }
	spec := &svc.Spec.Template.Spec
	spec.Containers[0].Env = append(spec.Containers[0].Env,
		servingv1.EnvVar{Name: "A", ValueFrom: &servingv1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{LocalObjectReference: named("a"), Key: "k"}}},
		servingv1.EnvVar{Name: "B", ValueFrom: &servingv1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: named("b"), Key: "k"}}})
	spec.Containers[0].EnvFrom = []corev1.EnvFromSource{
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("c")}},
		{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: named("d")}},
		{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: named("a")}},
	}
	spec.Volumes = []servingv1.Volume{
		{Name: "e", ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: named("e")}},
		{Name: "f", Secret: &corev1.SecretVolumeSource{SecretName: "f"}},
		{Name: "g", Projected: &servingv1.ProjectedVolumeSource{Sources: []servingv1.VolumeProjection{
			{ConfigMap: &corev1.ConfigMapProjection{LocalObjectReference: named("g")}},
			{Secret: &corev1.SecretProjection{LocalObjectReference: named("h")}},
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}},
		}}},
		{Name: "i", EmptyDir: &corev1.EmptyDirVolumeSource{}},
	}
	template, wanted := podOf(svc, 1, desired.Place{}), podOf(svc, 2, desired.Place{})
	want := "[ConfigMap a ConfigMap c ConfigMap e ConfigMap g Secret b Secret d Secret f Secret h]"
	if got := fmt.Sprint(desired.Sources(wanted)); got != want {
		t.Errorf("its values are from %s; want %s", got, want)
	}
	orders, why := desired.Adopt(template, wanted, built("app"), built("app"))
	if why != "" {
		t.Fatalf("it is not adopted: %s", why)
	}
	for _, name := range []string{"A", "B"} {
		if value, told := orders[servingv1.UserContainer].Env[name]; told {
			t.Errorf("the order says that %s is %q; want it to be as the node has said", name, value)
		}
	}
}

// TestOwner is to whom what a program writes belongs.
func TestOwner(t *testing.T) {
	for _, test := range []struct {
		image, want string
		asks        *servingv1.SecurityContext
	}{
		{image: "65532:65532", want: "65532 65532 <nil>"},
		{image: "65532", want: "65532 0 <nil>"},
		{image: "", want: "0 0 <nil>"},
		{image: "root", want: "0 0 <nil>"},
		{image: "nonroot", want: `0 0 its image runs as the user "nonroot", which is a name and no number`},
		{image: "nonroot", asks: &servingv1.SecurityContext{RunAsUser: new(int64(1000)), RunAsGroup: new(int64(1001))}, want: "1000 1001 <nil>"},
	} {
		svc := stander()
		svc.Spec.Template.Spec.Containers[0].SecurityContext = test.asks
		uid, gid, err := desired.Owner(podOf(svc, 1, desired.Place{}), desired.Image{User: test.image})
		if got := fmt.Sprint(uid, gid, err); got != test.want {
			t.Errorf("%q: %s, want %s", test.image, got, test.want)
		}
	}
}
