package node

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/kind-in-a-box/devbox/test/imagetest"
)

// TestLifeOfAPod is a pod like those of the serving stack, which nobody has
// bound to a node, from its creation to its deletion.
func TestLifeOfAPod(t *testing.T) {
	w := newWorld(t)
	app := serving("app")
	app.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{HTTPGet: &corev1.HTTPGetAction{
		Path: "/prestop", Port: intstr.FromString("user-port"),
	}}}
	pod := w.unboundPod(corev1.PodSpec{Containers: []corev1.Container{app, {Name: "other", Args: []string{"wait"}}}})
	pod = w.wait(pod, "a ready pod", isReady)

	if pod.Status.Phase != corev1.PodRunning || pod.Spec.NodeName != w.node || pod.Status.HostIP != hostIP {
		t.Errorf("got phase %s on node %q at %s", pod.Status.Phase, pod.Spec.NodeName, pod.Status.HostIP)
	}
	s := state(pod, "app")
	if s.State.Running == nil || !*s.Started || s.ImageID != w.image || !strings.HasPrefix(s.ContainerID, "devbox://") {
		t.Errorf("got %+v", s)
	}
	for _, reason := range []string{reasonPulled, reasonCreated, reasonStarted} {
		w.event(pod, reason)
	}
	following := make(chan string, 1)
	go func() { following <- w.logs(pod, "app", "follow=true") }()
	w.ask(pod, "app", "/say?words=hello")

	w.delete(pod, nil) // which kills "other" after the pod's 5 seconds
	log := <-following
	if _, after, _ := strings.Cut(log, "\n"); after != "hello\nasked to stop\nbye\n" {
		t.Errorf("the log is %q", log)
	}
	w.wait(pod, "the pod to be gone", isGone)
	if words := w.event(pod, reasonKilling); words != "Stopping container app" && words != "Stopping container other" {
		t.Errorf("got the event %q", words)
	}
}

// TestWhatAContainerFinds is all that a container is given by its spec.
func TestWhatAContainerFinds(t *testing.T) {
	w := newWorld(t)
	for _, object := range []*corev1.ConfigMap{
		{ObjectMeta: metav1.ObjectMeta{Name: "config"}, Data: map[string]string{"a": "A", "b": "B"}, BinaryData: map[string][]byte{"c": []byte("C")}},
	} {
		if _, err := w.client.CoreV1().ConfigMaps(w.namespace).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "secret"}, StringData: map[string]string{"key": "hidden"}}
	if _, err := w.client.CoreV1().Secrets(w.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	config := corev1.LocalObjectReference{Name: "config"}
	field := func(path string) *corev1.EnvVarSource {
		return &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: path}}
	}
	app := serving("app")
	app.EnvFrom = []corev1.EnvFromSource{{Prefix: "CONFIG_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: config}}}
	app.Env = append(app.Env,
		corev1.EnvVar{Name: "SAME", Value: "$(CONFIG_a) and $(NOBODY)"},
		corev1.EnvVar{Name: "SECRET", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}, Key: "key",
		}}},
		corev1.EnvVar{Name: "MISSING", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
			LocalObjectReference: config, Key: "missing", Optional: new(true),
		}}},
		corev1.EnvVar{Name: "IP", ValueFrom: field("status.podIP")},
		corev1.EnvVar{Name: "NODE", ValueFrom: field("spec.nodeName")},
		corev1.EnvVar{Name: "LABEL", ValueFrom: field("metadata.labels['label']")},
		corev1.EnvVar{Name: "CPUS", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.cpu"}}},
	)
	app.VolumeMounts = []corev1.VolumeMount{
		{Name: "config", MountPath: "/config"},
		{Name: "all", MountPath: "/all"},
		{Name: "all", MountPath: "/one", SubPath: "secrets/key"},
		{Name: "scratch", MountPath: "/scratch"},
	}
	pod := w.pod(corev1.PodSpec{
		InitContainers: []corev1.Container{{
			Name: "write", Args: []string{"write", "/scratch/file", "from $(HOSTNAME)"},
			Env:          []corev1.EnvVar{{Name: "HOSTNAME", Value: "init"}},
			VolumeMounts: []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}},
		}},
		Containers: []corev1.Container{app},
		Volumes: []corev1.Volume{
			{Name: "config", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
				LocalObjectReference: config, Items: []corev1.KeyToPath{{Key: "c", Path: "dir/c"}},
			}}},
			{Name: "all", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
				{Secret: &corev1.SecretProjection{
					LocalObjectReference: corev1.LocalObjectReference{Name: "secret"}, Items: []corev1.KeyToPath{{Key: "key", Path: "secrets/key"}},
				}},
				{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{{
					Path: "labels", FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels"},
				}}}},
			}}}},
			{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		},
	})
	pod = w.wait(pod, "a ready pod", isReady)

	env := map[string]string{}
	for line := range strings.Lines(w.ask(pod, "app", "/env")) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		env[name] = value
	}
	for name, want := range map[string]string{
		"FROM": "image", "HOSTNAME": pod.Name, "CONFIG_a": "A", "CONFIG_c": "C", "SAME": "A and $(NOBODY)", "SECRET": "hidden",
		"IP": pod.Status.PodIP, "NODE": w.node, "LABEL": "its-value", "CPUS": strconv.Itoa(runtime.NumCPU()),
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	if _, ok := env["MISSING"]; ok {
		t.Error("what is optional and missing is set")
	}
	for path, want := range map[string]string{
		"/config/dir/c": "C", "/all/secrets/key": "hidden", "/all/labels": `label="its-value"`, "/one": "hidden", "/scratch/file": "from init",
	} {
		if got := w.ask(pod, "app", "/file?path="+path); got != want {
			t.Errorf("%s holds %q, want %q", path, got, want)
		}
	}
}

func TestWhatIsMissingIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	app := serving("app")
	app.EnvFrom = []corev1.EnvFromSource{{ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "late"}}}}
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{app}}), "an error", waits("app", "CreateContainerConfigError"))
	if words := state(pod, "app").State.Waiting.Message; !strings.Contains(words, `configmaps "late" not found`) {
		t.Errorf("it waits for %q", words)
	}
	volume := corev1.Volume{Name: "v", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
		LocalObjectReference: corev1.LocalObjectReference{Name: "late"},
	}}}
	second := w.pod(corev1.PodSpec{Volumes: []corev1.Volume{volume}, Containers: []corev1.Container{serving("app")}})
	if words := w.event(second, reasonFailedMount); !strings.Contains(words, `configmaps "late" not found`) {
		t.Errorf("got the event %q", words)
	}
	late := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}
	if _, err := w.client.CoreV1().ConfigMaps(w.namespace).Create(t.Context(), late, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wait(pod, "a ready pod", isReady)
	w.wait(second, "a ready pod", isReady)
}

func TestImageThatCannotBePulled(t *testing.T) {
	w := newWorld(t)
	registry, _, _ := strings.Cut(w.image, "/")
	missing := registry + "/nothing:1"
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: missing}}}), "the pull to fail", waits("app", "ImagePullBackOff"))
	if words := state(pod, "app").State.Waiting.Message; !strings.Contains(words, missing) || !strings.Contains(words, "NAME_UNKNOWN") {
		t.Errorf("it waits with %q, which is not what the registry said", words)
	}
	if pod.Status.Phase != corev1.PodPending {
		t.Errorf("got phase %s", pod.Status.Phase)
	}
}

// TestPrivateImage is pulled with what is in the Secrets of its pod or of the
// pod's service account. One that is made after the first try brings the next.
func TestPrivateImage(t *testing.T) {
	w := newWorld(t)
	private, open := imagetest.Private(t, func(user, password string) bool { return user == "u" && password == "p" })
	image := strings.Replace(push(t, appProgram, open, v1.Config{Cmd: []string{"serve"}}), open, private, 1)
	container := func() []corev1.Container {
		c := serving("app")
		c.Image = image
		return []corev1.Container{c}
	}
	late := w.pod(corev1.PodSpec{ImagePullSecrets: []corev1.LocalObjectReference{{Name: "regcred"}}, Containers: container()})
	refused := w.wait(late, "the pull to be refused", waits("app", "ImagePullBackOff"))
	for _, want := range []string{"registry " + private + " answers 401 Unauthorized", `there is no Secret "regcred" in namespace ` + w.namespace} {
		if words := state(refused, "app").State.Waiting.Message; !strings.Contains(words, want) {
			t.Errorf("it waits with %q, want %q", words, want)
		}
	}
	secret := imagetest.PullSecret(w.namespace, "regcred", private, "u", "p")
	if _, err := w.client.CoreV1().Secrets(w.namespace).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	w.wait(late, "a ready pod", isReady)

	stranger := w.wait(w.pod(corev1.PodSpec{Containers: container()}), "a ready pod", isReady)
	if words, want := w.event(stranger, reasonPulled), fmt.Sprintf("Container image %q already present on machine", image); words != want {
		t.Errorf("of an image that is here the event is %q, want %q", words, want)
	}

	robot := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "regcred"}}}
	if _, err := w.client.CoreV1().ServiceAccounts(w.namespace).Create(t.Context(), robot, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	asks := container()
	asks[0].ImagePullPolicy = corev1.PullAlways
	asks[0].Image, _, _ = strings.Cut(image, "@")
	asks[0].Image += ":1"
	w.wait(w.pod(corev1.PodSpec{ServiceAccountName: "robot", Containers: asks}), "a ready pod", isReady)
}

// TestImageThatMayNotBePulled waits for the image until another pod has
// pulled it.
func TestImageThatMayNotBePulled(t *testing.T) {
	w := newWorld(t)
	never := serving("app")
	never.ImagePullPolicy = corev1.PullNever
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{never}}), "no image", waits("app", "ErrImageNeverPull"))
	want := fmt.Sprintf("Container image %q is not present with pull policy of Never", w.image)
	if words := state(pod, "app").State.Waiting.Message; words != want || pod.Status.Phase != corev1.PodPending {
		t.Errorf("it is %s and waits with %q, want %q", pod.Status.Phase, words, want)
	}
	if words := w.event(pod, "ErrImageNeverPull"); words != want {
		t.Errorf("got the event %q, want %q", words, want)
	}
	w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)
	w.wait(pod, "a ready pod", isReady)
	if words := w.event(pod, reasonPulled); words != fmt.Sprintf("Container image %q already present on machine", w.image) {
		t.Errorf("got the event %q", words)
	}
}

func TestProgramThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Command: []string{"/nothing"}}}}),
		"a crash loop", waits("app", "CrashLoopBackOff"))
	if last := state(pod, "app").LastTerminationState.Terminated; last.Reason != "StartError" || !strings.Contains(last.Message, "/nothing") {
		t.Errorf("got the last state %+v", last)
	}
}

func TestNotListening(t *testing.T) {
	w := newWorld(t)
	app := serving("app")
	app.ReadinessProbe = nil
	app.Env = []corev1.EnvVar{{Name: "PORT", Value: "0"}}
	pod := w.pod(corev1.PodSpec{Containers: []corev1.Container{app}})
	words := w.event(pod, reasonNotListening)
	if !strings.HasPrefix(words, "container app does not listen on port 2") || !strings.Contains(words, "; it listens on ") {
		t.Errorf("got the event %q", words)
	}
}
