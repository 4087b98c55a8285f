package deploy

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// TestProgress is what `kubectl rollout status` says of the same status.
func TestProgress(t *testing.T) {
	const (
		deployment  = "{apiVersion: apps/v1, kind: Deployment, metadata: {generation: 2}, spec: {replicas: 2}, status: {%s}}"
		statefulSet = "{apiVersion: apps/v1, kind: StatefulSet, metadata: {generation: 2}, spec: {replicas: 2, updateStrategy: {%s}}, status: {%s}}"
		daemonSet   = "{apiVersion: apps/v1, kind: DaemonSet, metadata: {generation: 2}, status: {%s}}"
		job         = "{apiVersion: batch/v1, kind: Job, spec: {suspend: %v}, status: {conditions: [%s]}}"
		pod         = "{apiVersion: v1, kind: Pod, status: {%s}}"
		crd         = "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [%s]}}"
		done        = "done"
	)
	for object, want := range map[string]string{
		fmt.Sprintf(deployment, "observedGeneration: 1, updatedReplicas: 2, availableReplicas: 2, replicas: 2"):                                                   "no controller has seen the change yet",
		fmt.Sprintf(deployment, "observedGeneration: 2, updatedReplicas: 1"):                                                                                      "1 of 2 new pods are there",
		fmt.Sprintf(deployment, "observedGeneration: 2, updatedReplicas: 2, availableReplicas: 1, replicas: 2"):                                                   "1 of 2 new pods are available",
		fmt.Sprintf(deployment, "observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 3"):                                                   "old pods, on their way out: 1",
		fmt.Sprintf(deployment, "observedGeneration: 2, updatedReplicas: 2, availableReplicas: 2, replicas: 2"):                                                   done,
		fmt.Sprintf(deployment, "observedGeneration: 2, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded, message: too late}]"): "failed: too late",
		fmt.Sprintf(deployment, "observedGeneration: 2, conditions: [{type: ReplicaFailure, status: 'True', message: over quota}]"):                               "over quota",

		fmt.Sprintf(statefulSet, "", "observedGeneration: 1"):                                                                                       "no controller has seen the change yet",
		fmt.Sprintf(statefulSet, "", "observedGeneration: 2, readyReplicas: 1"):                                                                     "1 of 2 pods are ready",
		fmt.Sprintf(statefulSet, "", "observedGeneration: 2, readyReplicas: 2, updatedReplicas: 1, updateRevision: b, currentRevision: a"):          "1 of 2 pods are new",
		fmt.Sprintf(statefulSet, "rollingUpdate: {partition: 1}", "observedGeneration: 2, readyReplicas: 2, updatedReplicas: 1, updateRevision: b"): done,
		fmt.Sprintf(statefulSet, "type: OnDelete", "observedGeneration: 2, readyReplicas: 2, updateRevision: b"):                                    done,
		fmt.Sprintf(statefulSet, "", "observedGeneration: 2, readyReplicas: 2, updateRevision: a, currentRevision: a"):                              done,

		fmt.Sprintf(daemonSet, "observedGeneration: 1"):                                                                           "no controller has seen the change yet",
		fmt.Sprintf(daemonSet, "observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 1"):                     "1 of 2 pods are new",
		fmt.Sprintf(daemonSet, "observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1"): "1 of 2 pods are available",
		fmt.Sprintf(daemonSet, "observedGeneration: 2, desiredNumberScheduled: 1, updatedNumberScheduled: 1, numberAvailable: 1"): done,

		fmt.Sprintf(job, false, ""):                                                             "it has not completed yet",
		fmt.Sprintf(job, false, "{type: Complete, status: 'True'}"):                             done,
		fmt.Sprintf(job, false, "{type: Failed, status: 'True', reason: BackoffLimitExceeded}"): "failed: BackoffLimitExceeded",
		fmt.Sprintf(job, true, "{type: Suspended, status: 'True'}"):                             done,
		fmt.Sprintf(pod, "phase: Pending"):                                                      "it is not ready",
		fmt.Sprintf(pod, "phase: Succeeded"):                                                    done,
		fmt.Sprintf(pod, "phase: Failed, message: no such field"):                               "failed: no such field",
		fmt.Sprintf(pod, "phase: Running, conditions: [{type: Ready, status: 'True'}]"):         done,
		fmt.Sprintf(crd, ""): "the API server does not serve the kind yet",
		fmt.Sprintf(crd, "{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}"): done,
		"{apiVersion: v1, kind: ConfigMap}":                                                    done,
		"{apiVersion: networking.istio.io/v1, kind: VirtualService, status: {conditions: []}}": done,
	} {
		u := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(object), &u.Object); err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		s := progressOf(u)
		got := s.reason
		switch {
		case s.done:
			got = done
		case s.failed:
			got = "failed: " + s.reason
		}
		if got != want {
			t.Errorf("%s\nis   %s\nwant %s", object, got, want)
		}
	}
}

func TestTrouble(t *testing.T) {
	pod := func(policy corev1.RestartPolicy, ready corev1.ConditionStatus, statuses ...corev1.ContainerStatus) corev1.Pod {
		p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-1"}, Spec: corev1.PodSpec{RestartPolicy: policy}}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: ready}}
		p.Status.ContainerStatuses = statuses
		return p
	}
	terminated := func(code int32) corev1.ContainerStatus {
		return corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code}}}
	}
	again := corev1.ContainerStatus{
		Name: "web", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		LastTerminationState: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 1}},
	}
	pull := corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ErrImagePull", Message: "no such image"}}}
	creating := corev1.ContainerStatus{Name: "web", State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}}
	for name, c := range map[string]struct {
		pod  corev1.Pod
		want string
	}{
		"crashed":              {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse, terminated(2)), "pod web-1: container web exited with code 2"},
		"started again":        {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse, again), "pod web-1: container web exited with code 1"},
		"started again, ready": {pod(corev1.RestartPolicyAlways, corev1.ConditionTrue, again), ""},
		"ended and not to":     {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse, terminated(0)), "pod web-1: container web exited with code 0"},
		"a job's, at its end":  {pod(corev1.RestartPolicyNever, corev1.ConditionFalse, terminated(0)), ""},
		"a job's, failed":      {pod(corev1.RestartPolicyNever, corev1.ConditionFalse, terminated(1)), "pod web-1: container web exited with code 1"},
		"no image":             {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse, pull), "pod web-1: container web cannot start: ErrImagePull: no such image"},
		"about to be there":    {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse, creating), ""},
		"nothing known of it":  {pod(corev1.RestartPolicyAlways, corev1.ConditionFalse), ""},
	} {
		if got, failed := trouble([]corev1.Pod{c.pod}); got != c.want || failed != (c.want != "") {
			t.Errorf("%s: %q, %v; want %q", name, got, failed, c.want)
		}
	}
}
