package deploy

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

func revision(mark func(*servingv1.RevisionStatus)) *servingv1.Revision {
	r := &servingv1.Revision{}
	r.Status.InitializeConditions()
	if mark != nil {
		mark(&r.Status)
	}
	return r
}

func service(observed int64, mark func(*servingv1.ServiceStatus)) *servingv1.Service {
	s := &servingv1.Service{}
	s.Status.InitializeConditions()
	s.Status.ObservedGeneration = observed
	if mark != nil {
		mark(&s.Status)
	}
	return s
}

func pod(statuses ...corev1.ContainerStatus) []corev1.Pod {
	queue := corev1.ContainerStatus{Name: servingv1.QueueContainer, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
	return []corev1.Pod{{Status: corev1.PodStatus{ContainerStatuses: append([]corev1.ContainerStatus{queue}, statuses...)}}}
}

func user(s corev1.ContainerState) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: servingv1.UserContainer, State: s}
}

var (
	running  = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	panicked = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Reason: "Error"}}
)

func TestFailure(t *testing.T) {
	leaving := pod(user(panicked))
	leaving[0].DeletionTimestamp = &metav1.Time{}
	again := user(running)
	again.LastTerminationState = panicked
	for name, c := range map[string]struct {
		state state
		want  string // empty: it has not failed
	}{
		"nothing yet":           {state{}, ""},
		"on its way":            {state{service: service(1, nil), revision: revision(nil), pods: pod(user(running))}, ""},
		"ended":                 {state{revision: revision(nil), pods: pod(user(panicked))}, "container user-container exited with code 2"},
		"ended and begun again": {state{revision: revision(nil), pods: pod(again)}, "container user-container exited with code 2"},
		"ended, but leaving":    {state{revision: revision(nil), pods: leaving}, ""},
		"ended long ago":        {state{revision: revision(func(s *servingv1.RevisionStatus) { s.MarkContainerHealthyTrue(); s.MarkResourcesAvailableTrue() }), pods: pod(again)}, ""},
		"no memory": {
			state{revision: revision(nil), pods: pod(user(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: "OOMKilled"}}))},
			"container user-container exited with code 137 (OOMKilled)",
		},
		"the revision says so": {
			state{revision: revision(func(s *servingv1.RevisionStatus) { s.MarkContainerHealthyFalse("ExitCode1", "it crashed") })},
			"it crashed",
		},
		"given up": {
			state{revision: revision(func(s *servingv1.RevisionStatus) {
				s.MarkResourcesAvailableFalse("ProgressDeadlineExceeded", "Initial scale was never achieved")
			})},
			"Initial scale was never achieved",
		},
		"no revision, nor will there be": {
			state{service: service(3, func(s *servingv1.ServiceStatus) { s.MarkConfigurationNotOwned("hello") })},
			`There is an existing Configuration "hello" that we do not own.`,
		},
		"the Service speaks of what was before": {
			state{service: service(2, func(s *servingv1.ServiceStatus) { s.MarkConfigurationNotOwned("hello") })},
			"",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got, failed := failure(c.state, 3); got != c.want || failed != (c.want != "") {
				t.Errorf("failure = %q, %v; want %q", got, failed, c.want)
			}
		})
	}
}

// probedPod is one whose user container runs, has started up or not, and is not
// ready.
func probedPod(c corev1.Container, started bool) []corev1.Pod {
	s := user(running)
	s.Started = &started
	c.Name = s.Name
	pods := pod(s)
	pods[0].Spec.Containers = []corev1.Container{c}
	return pods
}

func TestDelay(t *testing.T) {
	unscheduled := []corev1.Pod{{Status: corev1.PodStatus{Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available: insufficient cpu"},
	}}}}
	pulling := user(corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff", Message: "no such host"}})
	for name, c := range map[string]struct {
		state   state
		rollout Rollout
		want    string
	}{
		"no revision": {state{}, Rollout{}, "there is no revision yet"},
		"no pod": {
			state{revision: revision(func(s *servingv1.RevisionStatus) { s.MarkResourcesAvailableUnknown("Deploying", "quota exceeded") })},
			Rollout{}, "there is no pod yet: quota exceeded",
		},
		"no node":     {state{revision: revision(nil), pods: unscheduled}, Rollout{}, "no node takes its pod: 0/1 nodes are available: insufficient cpu"},
		"no kubelet":  {state{revision: revision(nil), pods: []corev1.Pod{{}}}, Rollout{}, "its containers are being created"},
		"no image":    {state{revision: revision(nil), pods: pod(pulling)}, Rollout{}, "container user-container is waiting: ImagePullBackOff: no such host"},
		"no listener": {state{revision: revision(nil), pods: pod(user(running))}, Rollout{port: 8080}, "it does not listen on port 8080, which $PORT names"},
		"not ready":   {state{revision: revision(nil), pods: pod(user(running))}, Rollout{port: 8080, probed: true}, "it does not pass its readiness probe"},
		"not started up": {
			state{revision: revision(nil), pods: probedPod(corev1.Container{StartupProbe: &corev1.Probe{}}, false)}, Rollout{port: 8080},
			"container user-container has not passed its startup probe",
		},
		"a command as readiness probe": {
			state{revision: revision(nil), pods: probedPod(corev1.Container{StartupProbe: &corev1.Probe{}, ReadinessProbe: &corev1.Probe{}}, true)}, Rollout{port: 8080},
			"container user-container does not pass its readiness probe",
		},
		"not switched": {
			state{revision: revision(func(s *servingv1.RevisionStatus) { s.MarkContainerHealthyTrue(); s.MarkResourcesAvailableTrue() }), pods: pod(user(running))},
			Rollout{}, "it is ready, and the gateway does not send requests to it yet",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := delay(c.state, &c.rollout); got != c.want {
				t.Errorf("delay = %q, want %q", got, c.want)
			}
		})
	}
}

func TestFollows(t *testing.T) {
	share := func(n int64) *int64 { return &n }
	for name, c := range map[string]struct {
		traffic []servingv1.TrafficTarget
		want    bool
	}{
		"nothing said": {nil, true},
		"all":          {[]servingv1.TrafficTarget{{Percent: share(100)}}, true},
		"canary":       {[]servingv1.TrafficTarget{{Percent: share(10)}, {RevisionName: "app-00001", Percent: share(90)}}, false},
		"tag only":     {[]servingv1.TrafficTarget{{Tag: "next"}, {RevisionName: "app-00001", Percent: share(100)}}, false},
		"by its name":  {[]servingv1.TrafficTarget{{RevisionName: "app-00002", Percent: share(100)}}, true},
	} {
		if got := follows(c.traffic, "app-00002"); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestFinal: what mends itself is no last word, as long as somebody tries.
func TestFinal(t *testing.T) {
	missing := func(image string) *servingv1.Revision {
		r := revision(func(s *servingv1.RevisionStatus) {
			s.MarkContainerHealthyFalse(servingv1.ReasonContainerMissing, "no such host")
		})
		r.Spec.Containers = []servingv1.Container{{Image: image}}
		return r
	}
	unstarted := func(words string) []corev1.Pod {
		return pod(user(corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 128, Reason: "StartError", Message: words}}))
	}
	late := revision(func(s *servingv1.RevisionStatus) {
		s.MarkResourcesAvailableFalse(servingv1.ReasonProgressDeadlineExceeded, "too late")
	})
	for name, c := range map[string]struct {
		state   state
		failing time.Duration
		want    bool
	}{
		"there will be none":             {state{}, 0, true},
		"its time is up":                 {state{revision: late}, 0, true},
		"a crash":                        {state{revision: revision(nil), pods: pod(user(panicked))}, 0, false},
		"a crash an hour ago":            {state{revision: revision(nil), pods: pod(user(panicked))}, time.Hour, false},
		"an image out of reach":          {state{revision: missing("example.com/hello:v1")}, giveUp - 1, false},
		"an image out of reach for long": {state{revision: missing("example.com/hello:v1")}, giveUp, true},
		"an image whose name is none":    {state{revision: missing("Example:v1:v2")}, 0, true},
		"no such program":                {state{revision: revision(nil), pods: unstarted(`exec: "/nowhere": no such file or directory`)}, 0, true},
		"another machine's program":      {state{revision: revision(nil), pods: unstarted("exec format error")}, 0, true},
		"no memory for a process":        {state{revision: revision(nil), pods: unstarted("fork/exec /app: cannot allocate memory")}, 0, false},
		"too many processes":             {state{revision: revision(nil), pods: unstarted("fork/exec /app: resource temporarily unavailable")}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := final(c.state, c.failing); got != c.want {
				t.Errorf("final = %v, want %v", got, c.want)
			}
		})
	}
}
