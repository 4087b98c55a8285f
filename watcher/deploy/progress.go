package deploy

import (
	"cmp"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// progress is how far an object has come to what its manifest says.
type progress struct {
	done   bool
	failed bool   // and will not come further
	reason string // why it is not done
}

// behind is the progress of what is not done.
func behind(format string, args ...any) progress {
	return progress{reason: fmt.Sprintf(format, args...)}
}

// progressOf reads an object's status as `kubectl rollout status` does, and
// that of a Pod, a Job and a CustomResourceDefinition likewise. What has no
// such status is done when it is there.
func progressOf(u *unstructured.Unstructured) progress {
	switch gk := u.GroupVersionKind().GroupKind().String(); gk {
	case "Deployment.apps":
		return read(u, ofDeployment)
	case "StatefulSet.apps":
		return read(u, ofStatefulSet)
	case "DaemonSet.apps":
		return read(u, ofDaemonSet)
	case "Job.batch":
		return read(u, ofJob)
	case "Pod":
		return read(u, ofPod)
	case "CustomResourceDefinition.apiextensions.k8s.io":
		return ofDefinition(u)
	}
	return progress{done: true}
}

func read[T any](u *unstructured.Unstructured, of func(*T) progress) progress {
	o := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, o); err != nil {
		return behind("its status cannot be read: %v", err)
	}
	return of(o)
}

func ofDeployment(d *appsv1.Deployment) progress {
	wanted, s := replicas(d.Spec.Replicas), d.Status
	if s.ObservedGeneration < d.Generation {
		return behind("no controller has seen the change yet")
	}
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			return progress{failed: true, reason: cmp.Or(c.Message, "it has exceeded its progress deadline")}
		}
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			return behind("%s", c.Message)
		}
	}
	switch {
	case s.UpdatedReplicas < wanted:
		return behind("%d of %d new pods are there", s.UpdatedReplicas, wanted)
	case s.AvailableReplicas < s.UpdatedReplicas:
		return behind("%d of %d new pods are available", s.AvailableReplicas, s.UpdatedReplicas)
	case s.Replicas > s.UpdatedReplicas:
		return behind("old pods, on their way out: %d", s.Replicas-s.UpdatedReplicas)
	}
	return progress{done: true}
}

func ofStatefulSet(s *appsv1.StatefulSet) progress {
	wanted := replicas(s.Spec.Replicas)
	switch {
	case s.Status.ObservedGeneration < s.Generation:
		return behind("no controller has seen the change yet")
	case s.Status.ReadyReplicas < wanted:
		return behind("%d of %d pods are ready", s.Status.ReadyReplicas, wanted)
	case s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType:
		return progress{done: true} // its pods are changed by whoever deletes them
	}
	if u := s.Spec.UpdateStrategy.RollingUpdate; u != nil && u.Partition != nil {
		wanted -= min(wanted, *u.Partition)
	}
	if s.Status.UpdateRevision != s.Status.CurrentRevision && s.Status.UpdatedReplicas < wanted {
		return behind("%d of %d pods are new", s.Status.UpdatedReplicas, wanted)
	}
	return progress{done: true}
}

func ofDaemonSet(d *appsv1.DaemonSet) progress {
	s := d.Status
	switch {
	case s.ObservedGeneration < d.Generation:
		return behind("no controller has seen the change yet")
	case d.Spec.UpdateStrategy.Type != appsv1.OnDeleteDaemonSetStrategyType && s.UpdatedNumberScheduled < s.DesiredNumberScheduled:
		return behind("%d of %d pods are new", s.UpdatedNumberScheduled, s.DesiredNumberScheduled)
	case s.NumberAvailable < s.DesiredNumberScheduled:
		return behind("%d of %d pods are available", s.NumberAvailable, s.DesiredNumberScheduled)
	}
	return progress{done: true}
}

func ofJob(j *batchv1.Job) progress {
	for _, c := range j.Status.Conditions {
		switch {
		case c.Status != corev1.ConditionTrue:
		case c.Type == batchv1.JobComplete:
			return progress{done: true}
		case c.Type == batchv1.JobFailed:
			return progress{failed: true, reason: cmp.Or(c.Message, c.Reason)}
		}
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		return progress{done: true}
	}
	return behind("it has not completed yet")
}

func ofPod(p *corev1.Pod) progress {
	switch p.Status.Phase {
	case corev1.PodSucceeded:
		return progress{done: true}
	case corev1.PodFailed:
		return progress{failed: true, reason: cmp.Or(p.Status.Message, p.Status.Reason, "it has failed")}
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return progress{done: true}
		}
	}
	return behind("it is not ready")
}

// ofDefinition waits until objects of the new kind are taken.
func ofDefinition(u *unstructured.Unstructured) progress {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok && c["type"] == "Established" && c["status"] == "True" {
			return progress{done: true}
		}
	}
	return behind("the API server does not serve the kind yet")
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// RollsOut says whether something is made of an object that Follow waits for.
func RollsOut(u *unstructured.Unstructured) bool {
	switch u.GroupVersionKind().GroupKind().String() {
	case "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch", "Pod":
		return true
	}
	return isService(u)
}
