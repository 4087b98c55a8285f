package controller

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/mesh"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// pod is a pod as kubelet would describe it, made some seconds before noon.
func pod(name string, age int, change ...func(*corev1.Pod)) corev1.Pod {
	p := corev1.Pod{}
	p.Name, p.UID = name, types.UID(name)
	p.CreationTimestamp = metav1.NewTime(noon.Add(-time.Duration(age) * time.Second))
	p.Status.Phase = corev1.PodRunning
	for _, c := range change {
		c(&p)
	}
	return p
}

func exited(code int32, words string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
			Name:                 servingv1.UserContainer,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Message: words, Reason: "Error"}},
		})
	}
}

func waits(reason, words string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.ContainerStatuses = []corev1.ContainerStatus{{
			State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: words}},
		}}
	}
}

func failed(reason, words string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Status.Phase, p.Status.Reason, p.Status.Message = corev1.PodFailed, reason, words
	}
}

// runs is a container that has crashed and is up again, for some seconds before
// noon.
func runs(seconds int) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for i := range p.Status.ContainerStatuses {
			s := &p.Status.ContainerStatuses[i]
			since := metav1.NewTime(noon.Add(-time.Duration(seconds) * time.Second))
			s.Ready, s.State = true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: since}}
		}
	}
}

// steady is a container that has never ended.
func steady(p *corev1.Pod) {
	p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, corev1.ContainerStatus{
		Name: servingv1.UserContainer, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	})
}

func unschedulable(p *corev1.Pod) {
	p.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes",
	}}
}

func ending(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: noon} }

// says is the activator's word since a second before noon.
func says(answers func(*corev1.Pod) bool) func(*corev1.Pod) (time.Time, bool) {
	return func(p *corev1.Pod) (time.Time, bool) { return noon.Add(-time.Second), answers(p) }
}

// condition is what a condition comes to, in a line.
func condition(s *servingv1.Status, t servingv1.ConditionType) string {
	c := s.Condition(t)
	if c == nil {
		return "none"
	}
	out := string(c.Status)
	if c.Reason != "" {
		out += " " + c.Reason
	}
	if c.Message != "" {
		out += ": " + c.Message
	}
	return out
}

// sidecarNotReady is a pod whose queue-proxy kubelet has ended, because its
// postStart had waited for the sidecar for too long.
func sidecarNotReady(p *corev1.Pod) {
	p.Labels = map[string]string{mesh.TLSModeLabel: mesh.TLSModeIstio}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{
		{
			Name:                 servingv1.QueueContainer,
			State:                corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "PostStartHookError"}},
			LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}},
		},
		{Name: servingv1.UserContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}},
	}
}

func TestReport(t *testing.T) {
	const (
		queued    = "Unknown Queued: Requests to the target are being buffered as resources are provisioned."
		noTraffic = "False NoTraffic: The target is not receiving traffic."
		deploying = "Unknown Deploying"
		none      = "False ProgressDeadlineExceeded: No pod has answered"
		late      = " within 1m0s (annotation serving.knative.dev/progress-deadline), and no further try is made. " +
			"To have one, delete the revision or change the service."
	)
	ready := func(s *servingv1.RevisionStatus) { s.MarkResourcesAvailableTrue(); s.MarkContainerHealthyTrue() }
	crashed := func(s *servingv1.RevisionStatus) {
		s.MarkResourcesAvailableTrue()
		s.MarkContainerHealthyFalse("ExitCode1", "Container failed with: boom")
	}
	for name, c := range map[string]struct {
		before    func(*servingv1.RevisionStatus)
		pods      []corev1.Pod
		answering map[string]bool
		want      int32

		ready, resources, container, active string
		again, settled                      time.Duration
	}{
		"a new pod": {
			pods: []corev1.Pod{pod("a", 4)}, want: 1,
			ready: deploying, resources: deploying, container: deploying, active: queued, again: 56 * time.Second,
		},
		"no pod yet": {
			want:  1,
			ready: deploying, resources: deploying, container: deploying, active: queued, again: time.Minute,
		},
		"as many as at first answer": {
			pods: []corev1.Pod{pod("a", 4), pod("b", 4), pod("c", 1)}, answering: map[string]bool{"a": true, "b": true}, want: 3,
			ready: "True", resources: "True", container: "True", active: "True",
		},
		"one of an initial scale of two answers": {
			pods: []corev1.Pod{pod("a", 4), pod("b", 4)}, answering: map[string]bool{"a": true}, want: 2,
			ready: "Unknown Deploying: 1 of 2 pods answer.", resources: "Unknown Deploying: 1 of 2 pods answer.", container: "True", active: "True",
			again: 56 * time.Second,
		},
		"one of an initial scale of two answers, the other crashes": {
			pods: []corev1.Pod{pod("a", 4), pod("b", 4, exited(1, "boom"))}, answering: map[string]bool{"a": true}, want: 2,
			ready:     "Unknown Deploying: 1 of 2 pods answer, another does not: Container failed with: boom.",
			resources: "Unknown Deploying: 1 of 2 pods answer, another does not: Container failed with: boom.",
			container: "True", active: "True", again: 56 * time.Second,
		},
		"one of two, ready before": {
			before: ready,
			pods:   []corev1.Pod{pod("a", 4), pod("b", 4)}, answering: map[string]bool{"a": true}, want: 2,
			ready: "True", resources: "True", container: "True", active: "True",
		},
		"to zero": {
			before: ready, want: 0,
			ready: "True", resources: "True", container: "True", active: noTraffic,
		},
		"back from zero": {
			before: ready, pods: []corev1.Pod{pod("a", 1)}, want: 1,
			ready: "True", resources: "True", container: "True", active: queued, again: 59 * time.Second,
		},
		"superseded before it was ready": {
			pods: []corev1.Pod{pod("a", 1, ending)}, want: 0,
			ready: "Unknown", resources: "Unknown", container: "Unknown", active: noTraffic,
		},
		"a crash": {
			pods: []corev1.Pod{pod("a", 1, exited(1, "panic: boom\n"))}, want: 1,
			ready:     "False ExitCode1: Container failed with: panic: boom",
			resources: "Unknown", container: "False ExitCode1: Container failed with: panic: boom", active: queued, again: 59 * time.Second,
		},
		"a sidecar that is not ready in time": {
			pods: []corev1.Pod{pod("a", 31, sidecarNotReady)}, want: 1,
			ready:     "False SidecarNotReady: Istio's sidecar of pod a does not become ready; its log says why: kubectl logs -n  a -c istio-proxy.",
			resources: "False SidecarNotReady: Istio's sidecar of pod a does not become ready; its log says why: kubectl logs -n  a -c istio-proxy.",
			container: "Unknown", active: queued, again: 29 * time.Second,
		},
		"a crash without words": {
			pods: []corev1.Pod{pod("a", 1, exited(137, ""))}, want: 1,
			ready:     "False ExitCode137: Container failed with: Error",
			resources: "Unknown", container: "False ExitCode137: Container failed with: Error", active: queued, again: 59 * time.Second,
		},
		"a crash of one pod while another answers": {
			before: ready,
			pods:   []corev1.Pod{pod("a", 9), pod("b", 1, exited(1, "boom"))}, answering: map[string]bool{"a": true}, want: 2,
			ready: "True", resources: "True", container: "True", active: "True",
		},
		"a crash overcome": {
			before: crashed,
			pods:   []corev1.Pod{pod("a", 9, exited(1, "boom"), runs(4))}, answering: map[string]bool{"a": true}, want: 1,
			ready: "True", resources: "True", container: "True", active: "True",
		},
		"a crash that may be overcome": {
			before: crashed,
			pods:   []corev1.Pod{pod("a", 9, exited(1, "boom"), runs(2))}, answering: map[string]bool{"a": true}, want: 1,
			ready: "False ExitCode1: Container failed with: boom", resources: "True", container: "False ExitCode1: Container failed with: boom",
			active: queued, again: 51 * time.Second, settled: time.Second,
		},
		"a sidecar that has crashed, while the program answers": {
			pods: []corev1.Pod{pod("a", 9, steady, exited(1, "boom"))}, answering: map[string]bool{"a": true}, want: 1,
			ready: "False ExitCode1: Container failed with: boom", resources: "Unknown", container: "False ExitCode1: Container failed with: boom",
			active: queued, again: 51 * time.Second,
		},
		"no such image": {
			pods: []corev1.Pod{pod("a", 2, waits("ErrImagePull", "not found"))}, want: 1,
			ready:     "False ErrImagePull: not found",
			resources: "False ErrImagePull: not found", container: "Unknown", active: queued, again: 58 * time.Second,
		},
		"no room": {
			pods: []corev1.Pod{pod("a", 2, unschedulable)}, want: 1,
			ready:     "False Unschedulable: 0/1 nodes",
			resources: "False Unschedulable: 0/1 nodes", container: "Unknown", active: queued, again: 58 * time.Second,
		},
		"refused by the node": {
			pods: []corev1.Pod{pod("a", 2, failed("OutOfcpu", "not enough"))}, want: 1,
			ready:     "False OutOfcpu: not enough",
			resources: "False OutOfcpu: not enough", container: "Unknown", active: queued, again: time.Minute,
		},
		"never listens": {
			pods: []corev1.Pod{pod("a", 60)}, want: 1,
			ready: none + late, resources: none + late, container: "Unknown", active: queued,
		},
		"crashes until it is too late": {
			pods: []corev1.Pod{pod("a", 60, exited(1, "boom"))}, want: 1,
			ready: "False ExitCode1: Container failed with: boom", resources: none + late,
			container: "False ExitCode1: Container failed with: boom", active: queued,
		},
		"one of an initial scale of two never answers": {
			pods: []corev1.Pod{pod("a", 60), pod("b", 60)}, answering: map[string]bool{"a": true}, want: 2,
			ready:     "False ProgressDeadlineExceeded: Only 1 of 2 pods answer" + late,
			resources: "False ProgressDeadlineExceeded: Only 1 of 2 pods answer" + late, container: "True", active: "True",
		},
		"given up": {
			before: func(s *servingv1.RevisionStatus) {
				s.Condition(servingv1.RevisionActive).LastTransitionTime = metav1.Time{}
				report(s, observe([]corev1.Pod{pod("a", 60)}, says(func(*corev1.Pod) bool { return false }), 0, noon), scale{want: 1}, time.Minute, noon)
			},
			want: 0, ready: none + late, resources: none + late, container: "Unknown",
			active: "False TimedOut: No pod has answered" + late,
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s servingv1.RevisionStatus
			s.InitializeConditions()
			if c.before != nil {
				c.before(&s)
			}
			for i := range s.Conditions {
				s.Conditions[i].LastTransitionTime = metav1.NewTime(noon.Add(-time.Hour))
			}
			seen := observe(c.pods, says(func(p *corev1.Pod) bool { return c.answering[p.Name] }), 0, noon)
			again := report(&s, seen, scale{want: c.want, initial: 2}, time.Minute, noon)
			for _, got := range []struct {
				what      servingv1.ConditionType
				got, want string
			}{
				{"again", again.String(), c.again.String()},
				{"settled", seen.settled.String(), c.settled.String()},
				{servingv1.ConditionReady, condition(&s.Status, servingv1.ConditionReady), c.ready},
				{servingv1.RevisionResourcesAvailable, condition(&s.Status, servingv1.RevisionResourcesAvailable), c.resources},
				{servingv1.RevisionContainerHealthy, condition(&s.Status, servingv1.RevisionContainerHealthy), c.container},
				{servingv1.RevisionActive, condition(&s.Status, servingv1.RevisionActive), c.active},
			} {
				if got.got != got.want {
					t.Errorf("%s is %q, want %q", got.what, got.got, got.want)
				}
			}
		})
	}
}

// A port that is queue-proxy's is named so on every engine: kubelet has the
// program's words alone, the embedded engine's node has said it already.
func TestEndAtAPortOfQueueProxys(t *testing.T) {
	const words = "2026/11/29 07:04:33 listen tcp :9090: bind: address already in use"
	const whose = "\nqueue-proxy has port 9090 in every pod of a service, on every cluster; listen on another"
	const shared = "listen tcp :8012: bind: address already in use\nanother pod or program of this machine has port 8012, since pods share its network"
	for said, want := range map[string]string{
		words: words + whose, words + whose: words + whose, shared: shared,
		"listen tcp :5432: bind: address already in use": "listen tcp :5432: bind: address already in use",
		"panic: boom": "panic: boom",
	} {
		o := observe([]corev1.Pod{pod("p", 1, exited(1, said))}, func(*corev1.Pod) (time.Time, bool) { return time.Time{}, false }, 0, noon)
		if o.crash == nil || o.crash.message != "Container failed with: "+want {
			t.Errorf("%q is reported as %+v", said, o.crash)
		}
	}
}

func TestReportSaysWhyThePodsAreWanted(t *testing.T) {
	var s servingv1.RevisionStatus
	for _, reason := range []string{"needs 1: 1 in flight", "nothing in 1m0s", ""} {
		report(&s, observation{}, scale{reason: reason}, time.Minute, noon)
		if got := s.Annotations[servingv1.ScaleReasonAnnotation]; got != reason {
			t.Errorf("says %q, want %q", got, reason)
		}
	}
}

func TestWhoGoesFirst(t *testing.T) {
	answering := map[string]bool{"old": true, "young": true}
	seen := observe([]corev1.Pod{
		pod("old", 90), pod("starting", 50), pod("young", 10), pod("starting too", 5),
		pod("gone", 5, ending), pod("ended", 5, failed("Evicted", "")),
	}, says(func(p *corev1.Pod) bool { return answering[p.Name] }), 0, noon)
	var got []string
	for _, p := range seen.alive {
		got = append(got, p.Name)
	}
	want := []string{"starting too", "starting", "young", "old"}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("pods would go in the order %q, want %q", got, want)
		}
	}
	if len(seen.ended) != 1 || seen.answering != 2 {
		t.Errorf("%d ended and %d answer, want 1 and 2", len(seen.ended), seen.answering)
	}
}

func TestKubeletsWordCountsUntilTheActivatorSpeaks(t *testing.T) {
	a := newAnswers()
	p := pod("a", 1)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if !a.of(&p) {
		t.Error("a pod that kubelet finds ready does not count, though no activator has spoken")
	}
	a.pods.Add(p.UID, answer{})
	if a.of(&p) {
		t.Error("a pod that the activator finds silent counts")
	}
}

func TestProgressDeadline(t *testing.T) {
	for value, want := range map[string]time.Duration{"": time.Minute, "5s": 5 * time.Second, "soon": time.Minute, "-1s": time.Minute} {
		rev := &servingv1.Revision{}
		rev.Annotations = map[string]string{servingv1.ProgressDeadlineAnnotation: value}
		if got := progressDeadline(rev, time.Minute); got != want {
			t.Errorf("%q gives %s, want %s", value, got, want)
		}
	}
}

// A pod of yesterday that is silent for a moment has the same time to answer
// as a new one.
func TestSilentForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s servingv1.RevisionStatus
		s.InitializeConditions()
		old := pod("a", 0)
		old.CreationTimestamp = metav1.Now()
		look := func(answers bool) time.Duration {
			seen := observe([]corev1.Pod{old}, says(func(*corev1.Pod) bool { return answers }), 0, time.Now())
			return report(&s, seen, scale{want: 1, initial: 1}, time.Minute, time.Now())
		}
		look(true)
		time.Sleep(24 * time.Hour)
		if again := look(false); again != time.Minute || !s.IsTrue(servingv1.ConditionReady) {
			t.Errorf("silent for a moment: look again in %s, %s", again, condition(&s.Status, servingv1.ConditionReady))
		}
		time.Sleep(time.Minute)
		if look(false); s.Condition(servingv1.ConditionReady).Reason != servingv1.ReasonProgressDeadlineExceeded {
			t.Errorf("silent for its deadline: %s", condition(&s.Status, servingv1.ConditionReady))
		}
	})
}

// A pod with containers beside the serving one is believed after a second.
func TestProof(t *testing.T) {
	pods := []corev1.Pod{pod("a", 4)}
	for proof, want := range map[time.Duration]string{0: "1 0s", time.Second: "1 0s", 3 * time.Second: "0 2s"} {
		seen := observe(pods, says(func(*corev1.Pod) bool { return true }), proof, noon)
		if got := fmt.Sprint(seen.answering, " ", seen.settled); got != want {
			t.Errorf("with a proof of %s: %s, want %s", proof, got, want)
		}
	}
	rev := &servingv1.Revision{}
	rev.Spec.Containers = make([]servingv1.Container, 2)
	rev.Status.InitializeConditions()
	if proofOf(rev) != companyProof {
		t.Error("a new revision of two containers needs no proof")
	}
	rev.Status.MarkResourcesAvailableTrue()
	if proofOf(rev) != 0 {
		t.Error("one that has been ready needs a proof again")
	}
	rev.Spec.Containers = rev.Spec.Containers[:1]
	rev.Status = servingv1.RevisionStatus{}
	if proofOf(rev) != 0 {
		t.Error("a revision of one container needs a proof")
	}
}
