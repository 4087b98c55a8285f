package node

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write the golden files again")

var (
	noon  = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	later = noon.Add(time.Minute)
)

func running(name string, ready bool) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		Name: name, Image: "r/" + name + ":1", ImageID: "r/" + name + "@sha256:1", ContainerID: "devbox://" + name + "-0",
		State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(noon)}},
		Ready: ready, Started: new(true),
	}
}

func ended(name string, code int32) corev1.ContainerStatus {
	reason := "Error"
	if code == 0 {
		reason = "Completed"
	}
	return corev1.ContainerStatus{
		Name: name, Image: "r/" + name + ":1", ImageID: "r/" + name + "@sha256:1", ContainerID: "devbox://" + name + "-0",
		State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: code, Reason: reason, StartedAt: metav1.NewTime(noon), FinishedAt: metav1.NewTime(noon),
		}},
		Started: new(false),
	}
}

// crashing has ended and waits for its next life.
func crashing(name string) corev1.ContainerStatus {
	s := ended(name, 3)
	keepLast(&s)
	s.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff", Message: "back-off 10s"}}
	s.RestartCount = 1
	return s
}

// TestPodStatus has the status of a pod of init container "setup" and
// containers "app" and "queue" in testdata/status, one file a case.
func TestPodStatus(t *testing.T) {
	spec := corev1.PodSpec{
		InitContainers: []corev1.Container{{Name: "setup", Image: "r/setup:1"}},
		Containers:     []corev1.Container{{Name: "app", Image: "r/app:1"}, {Name: "queue", Image: "r/queue:1"}},
	}
	waiting := func(c []corev1.Container) []corev1.ContainerStatus { return waitingFor(c, "PodInitializing", nil) }
	done := []corev1.ContainerStatus{ended("setup", 0)}
	done[0].Ready = true
	const address = "127.1.2.3"
	for name, c := range map[string]struct {
		restart  corev1.RestartPolicy
		observed observed
	}{
		"accepted":         {observed: observed{init: waiting(spec.InitContainers), main: waiting(spec.Containers)}},
		"setting-up":       {observed: observed{address: address, init: []corev1.ContainerStatus{running("setup", false)}, main: waiting(spec.Containers)}},
		"setup-fails":      {corev1.RestartPolicyNever, observed{address: address, init: []corev1.ContainerStatus{ended("setup", 1)}, main: waiting(spec.Containers)}},
		"setup-will-retry": {observed: observed{address: address, init: []corev1.ContainerStatus{crashing("setup")}, main: waiting(spec.Containers)}},
		"half-ready":       {observed: observed{address: address, init: done, main: []corev1.ContainerStatus{running("app", true), running("queue", false)}}},
		"ready":            {observed: observed{address: address, init: done, main: []corev1.ContainerStatus{running("app", true), running("queue", true)}}},
		"crashing":         {observed: observed{address: address, init: done, main: []corev1.ContainerStatus{crashing("app"), running("queue", true)}}},
		"all-crash":        {observed: observed{address: address, init: done, main: []corev1.ContainerStatus{crashing("app"), ended("queue", 1)}}},
		"one-done":         {corev1.RestartPolicyNever, observed{address: address, init: done, main: []corev1.ContainerStatus{ended("app", 0), running("queue", true)}}},
		"succeeded":        {corev1.RestartPolicyOnFailure, observed{address: address, init: done, main: []corev1.ContainerStatus{ended("app", 0), ended("queue", 0)}}},
		"failed":           {corev1.RestartPolicyNever, observed{address: address, init: done, main: []corev1.ContainerStatus{ended("app", 2), ended("queue", 0)}}},
		"deleted":          {observed: observed{address: address, init: done, over: true, main: []corev1.ContainerStatus{ended("app", 0), ended("queue", 137)}}},
		"refused": {observed: observed{
			refusal: &refusal{"Unsupported", "spec.hostNetwork: Forbidden"},
			init:    waiting(spec.InitContainers), main: waiting(spec.Containers),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Spec: *spec.DeepCopy()}
			pod.Spec.RestartPolicy = c.restart
			pod.Status = corev1.PodStatus{QOSClass: corev1.PodQOSBestEffort, Conditions: []corev1.PodCondition{
				{Type: "example.com/Theirs", Status: corev1.ConditionTrue},
				{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon)},
				{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: metav1.NewTime(noon)},
			}}
			c.observed.accepted = noon
			golden(t, filepath.Join("testdata", "status", name+".yaml"), podStatus(pod, c.observed, later))
		})
	}
}

func golden(t *testing.T, file string, got any) {
	t.Helper()
	text, err := yaml.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(text)); d != "" {
		t.Errorf("%s (-want +got):\n%s", file, d)
	}
}

func TestStatusPatchIsOnlyWhatDiffers(t *testing.T) {
	before := corev1.PodStatus{Phase: corev1.PodPending, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, {Type: corev1.PodReady, Status: corev1.ConditionFalse, Reason: "ContainersNotReady"},
	}}
	after := *before.DeepCopy()
	after.Phase = corev1.PodRunning
	after.Conditions[1] = corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	patch, err := statusPatch("uid", map[string]string{"its": "ports"}, before, after)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"metadata":{"annotations":{"its":"ports"},"uid":"uid"},"status":{"$setElementOrder/conditions":[{"type":"PodScheduled"},{"type":"Ready"}],` +
		`"conditions":[{"reason":null,"status":"True","type":"Ready"}],"phase":"Running"}}`
	if string(patch) != want {
		t.Errorf("got %s\nwant %s", patch, want)
	}
}

func TestConditionsOfOthersAreKept(t *testing.T) {
	theirs := corev1.PodCondition{Type: "example.com/Theirs", Status: corev1.ConditionTrue}
	written := corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: theirs.Type, Status: corev1.ConditionFalse}, {Type: corev1.PodReady, Status: corev1.ConditionTrue},
	}}
	seen := corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse}, theirs}}
	got := withForeign(written, seen).Conditions
	want := []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, theirs}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestReadinessGates(t *testing.T) {
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "app"}},
		ReadinessGates: []corev1.PodReadinessGate{{ConditionType: "example.com/gate"}},
	}}
	o := observed{address: "127.1.2.3", main: []corev1.ContainerStatus{running("app", true)}}
	for _, c := range []struct {
		gate corev1.ConditionStatus
		want corev1.ConditionStatus
	}{{"", "False"}, {"False", "False"}, {"True", "True"}} {
		pod.Status.Conditions = nil
		if c.gate != "" {
			pod.Status.Conditions = []corev1.PodCondition{{Type: "example.com/gate", Status: c.gate}}
		}
		s := &corev1.Pod{Status: podStatus(pod, o, noon)}
		if got := conditionOf(s, corev1.PodReady); got != c.want {
			t.Errorf("with the gate %q the pod's Ready is %s, want %s", c.gate, got, c.want)
		}
	}
}
