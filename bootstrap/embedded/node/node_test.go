package node

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// state is the status of the pod's container called name.
func state(pod *corev1.Pod, name string) corev1.ContainerStatus {
	if pod != nil {
		for _, all := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for _, s := range all {
				if s.Name == name {
					return s
				}
			}
		}
	}
	return corev1.ContainerStatus{}
}

// waits says whether a container waits for this reason.
func waits(name, reason string) func(*corev1.Pod) bool {
	return func(pod *corev1.Pod) bool {
		w := state(pod, name).State.Waiting
		return w != nil && w.Reason == reason
	}
}

func TestNodeIsRegistered(t *testing.T) {
	w := newWorld(t)
	node, err := w.client.CoreV1().Nodes().Get(t.Context(), w.node, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if node.Labels[corev1.LabelHostname] != w.node || node.Status.Capacity.Cpu().Value() != int64(runtime.NumCPU()) ||
		node.Status.Capacity.Memory().IsZero() || node.Status.NodeInfo.KernelVersion == "" {
		t.Errorf("got %+v", node)
	}
	if c := node.Status.Conditions[0]; c.Type != corev1.NodeReady || c.Status != corev1.ConditionTrue {
		t.Errorf("got %+v, want it ready", c)
	}
	w.stop()
	if node, err = w.client.CoreV1().Nodes().Get(t.Context(), w.node, metav1.GetOptions{}); err != nil {
		t.Fatal(err)
	}
	if c := node.Status.Conditions[0]; c.Status != corev1.ConditionFalse {
		t.Errorf("after the node's end: got %+v, want it not ready", c)
	}
}

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

func TestCrash(t *testing.T) {
	w := newWorld(t)
	pod := w.pod(corev1.PodSpec{Containers: []corev1.Container{{
		Name: "app", Args: []string{"exit", "3", "no", "database"}, TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
	}}})
	pod = w.wait(pod, "a crash loop", waits("app", "CrashLoopBackOff"))
	s := state(pod, "app")
	last := s.LastTerminationState.Terminated
	if last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "no database\n" {
		t.Errorf("got the last state %+v", last)
	}
	if s.RestartCount != 1 || pod.Status.Phase != corev1.PodRunning {
		t.Errorf("after the restart that comes at once: got %d restarts, phase %s", s.RestartCount, pod.Status.Phase)
	}
	for _, query := range []string{"", "previous=true"} {
		if got := w.logs(pod, "app", query); got != "no database\n" {
			t.Errorf("the log with %q is %q", query, got)
		}
	}
	if words := w.event(pod, reasonBackOff); !strings.HasPrefix(words, "Back-off restarting failed container app in pod") {
		t.Errorf("got the event %q", words)
	}
	w.delete(pod, nil)
	w.wait(pod, "the pod to be gone", isGone)
}

func TestPodThatEnds(t *testing.T) {
	w := newWorld(t)
	exit := func(name, code string) corev1.Container {
		return corev1.Container{Name: name, Args: []string{"exit", code, name}}
	}
	for name, c := range map[string]struct {
		spec  corev1.PodSpec
		phase corev1.PodPhase
	}{
		"well": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyOnFailure, InitContainers: []corev1.Container{exit("init", "0")},
			Containers: []corev1.Container{exit("a", "0"), exit("b", "0")},
		}, corev1.PodSucceeded},
		"badly": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{exit("a", "0"), exit("b", "4")},
		}, corev1.PodFailed},
		"before it began": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever, InitContainers: []corev1.Container{exit("init", "5")},
			Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
		"with what stays beside it": {corev1.PodSpec{
			RestartPolicy: corev1.RestartPolicyNever,
			InitContainers: []corev1.Container{{
				Name: "stays", Args: []string{"serve"}, RestartPolicy: new(corev1.ContainerRestartPolicyAlways), Env: []corev1.EnvVar{{Name: "PORT", Value: "0"}},
			}},
			Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodSucceeded},
		"late": {corev1.PodSpec{
			ActiveDeadlineSeconds: new(int64(1)), TerminationGracePeriodSeconds: new(int64(1)),
			Containers: []corev1.Container{{Name: "a", Args: []string{"wait"}}},
		}, corev1.PodFailed},
		"refused": {corev1.PodSpec{
			HostNetwork: true, Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
		"elsewhere": {corev1.PodSpec{
			NodeSelector: map[string]string{"disk": "ssd"}, Containers: []corev1.Container{exit("a", "0")},
		}, corev1.PodFailed},
	} {
		t.Run(name, func(t *testing.T) {
			w := *w
			w.t = t
			pod := w.wait(w.pod(c.spec), "the end", func(pod *corev1.Pod) bool {
				if pod == nil || pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded {
					return false
				}
				for _, s := range pod.Status.ContainerStatuses {
					if s.State.Running != nil {
						return false // it is late, and is being ended
					}
				}
				return true
			})
			if pod.Status.Phase != c.phase {
				t.Errorf("got %s, want %s: %+v", pod.Status.Phase, c.phase, pod.Status)
			}
			if c.spec.HostNetwork && !strings.Contains(pod.Status.Message, "spec.hostNetwork") {
				t.Errorf("got %q, which does not name the field", pod.Status.Message)
			}
			w.delete(pod, nil)
			w.wait(pod, "the pod to be gone", isGone)
		})
	}
}

func TestSickContainerIsRestarted(t *testing.T) {
	w := newWorld(t)
	app := serving("app")
	app.LivenessProbe = &corev1.Probe{ProbeHandler: app.ReadinessProbe.ProbeHandler, PeriodSeconds: 1, FailureThreshold: 2}
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{app}}), "a ready pod", isReady)
	w.ask(pod, "app", "/sick")
	pod = w.wait(pod, "a restart", func(pod *corev1.Pod) bool { return state(pod, "app").RestartCount == 1 && isReady(pod) })
	if last := state(pod, "app").LastTerminationState.Terminated; last == nil || last.ExitCode != 0 {
		t.Errorf("got the last state %+v, want a good end on SIGTERM", last)
	}
	if words := w.event(pod, reasonUnhealthy); !strings.Contains(words, "503") {
		t.Errorf("got the event %q", words)
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

func TestForcedDeletionKills(t *testing.T) {
	w := newWorld(t)
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Args: []string{"wait"}}}}), "a ready pod", isReady)
	w.delete(pod, new(int64(0)))
	w.eventually("the files of the pod to go", func() bool { return len(w.podFiles()) == 0 })
}

// podFiles are the directories of pods.
func (w *world) podFiles() []os.DirEntry {
	files, err := os.ReadDir(filepath.Join(w.dir, "node", podsDir))
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for !is() {
		if !sleep(ctx, 10*time.Millisecond) {
			w.t.Fatalf("waiting for %s: %v", what, ctx.Err())
		}
	}
}

// TestNodeStartsAgain has the pods of an earlier life of the node go on, but
// for what was deleted meanwhile.
func TestNodeStartsAgain(t *testing.T) {
	w := newWorld(t)
	scratch := []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
	app := serving("app")
	app.VolumeMounts = []corev1.VolumeMount{{Name: "scratch", MountPath: "/scratch"}}
	kept := w.wait(w.pod(corev1.PodSpec{Volumes: scratch, Containers: []corev1.Container{app}}), "a ready pod", isReady)
	dropped := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)
	file := filepath.Join(w.dir, "node", podsDir, string(kept.UID), volumesDir, "scratch", "file")
	if err := os.WriteFile(file, []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.delete(dropped, nil)
	w.start()

	w.wait(dropped, "the pod to be gone", isGone)
	again := w.wait(kept, "a restart", func(pod *corev1.Pod) bool { return state(pod, "app").RestartCount == 1 && isReady(pod) })
	if again.UID != kept.UID || again.Status.PodIP != kept.Status.PodIP {
		t.Errorf("got %s at %s, want %s at %s", again.UID, again.Status.PodIP, kept.UID, kept.Status.PodIP)
	}
	if got := w.ask(again, "app", "/file?path=/scratch/file"); got != "kept" {
		t.Errorf("the emptyDir has %q", got)
	}
	w.eventually("the files of the other pod to go", func() bool { return len(w.podFiles()) == 1 })
}

func TestEndpoint(t *testing.T) {
	w := newWorld(t)
	for path, want := range map[string]struct {
		code  int
		words string
	}{
		"/healthz":                         {http.StatusOK, "ok"},
		"/containerLogs/no/such/pod":       {http.StatusNotFound, `pod "such" is not on this node`},
		"/exec/ns/pod/app":                 {http.StatusNotImplemented, "exec is not there in the embedded engine"},
		"/portForward/ns/pod":              {http.StatusNotImplemented, "port-forward is not there in the embedded engine"},
		"/containerLogs/a/b/c?tailLines=x": {http.StatusBadRequest, "tailLines is not a number"},
	} {
		response := w.endpoint(path)
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != want.code || !strings.HasPrefix(string(text), want.words) {
			t.Errorf("%s: got %d, %q, %v", path, response.StatusCode, text, err)
		}
	}
	pod := w.wait(w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app")}}), "a ready pod", isReady)
	response := w.endpoint("/pods")
	defer response.Body.Close()
	var list corev1.PodList
	if err := json.NewDecoder(response.Body).Decode(&list); err != nil || len(list.Items) != 1 || list.Items[0].Name != pod.Name {
		t.Errorf("got the pods %v, %v", list.Items, err)
	}
}

// TestNothingIsLeft makes pods come and go.
func TestNothingIsLeft(t *testing.T) {
	w := newWorld(t)
	round := func() {
		var pods []*corev1.Pod
		for range 5 {
			pods = append(pods, w.pod(corev1.PodSpec{Containers: []corev1.Container{serving("app"), {Name: "b", Args: []string{"exit", "1"}}}}))
		}
		for _, pod := range pods {
			w.wait(pod, "a running pod", func(pod *corev1.Pod) bool { return pod != nil && state(pod, "app").Ready })
			w.delete(pod, nil)
		}
		for _, pod := range pods {
			w.wait(pod, "the pod to be gone", isGone)
		}
	}
	round()
	before := runtime.NumGoroutine()
	for range 3 {
		round()
	}
	w.eventually("the files to go", func() bool { return len(w.podFiles()) == 0 })
	w.eventually("the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+5 })
}
