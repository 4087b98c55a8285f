package embedded

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/kind-in-a-box/devbox/bootstrap/embedded/node"
)

// TestLacks has a pod ask for each thing that is lacking and that a pod can
// ask for: the node must refuse it, and nothing on the list be without a pod
// or a reason.
func TestLacks(t *testing.T) {
	container := func(c corev1.Container) []corev1.PodSpec {
		return []corev1.PodSpec{{Containers: []corev1.Container{c}}, {InitContainers: []corev1.Container{c}}}
	}
	volume := func(s corev1.VolumeSource) corev1.PodSpec {
		return corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: s}}}
	}
	exec := &corev1.ExecAction{Command: []string{"true"}}
	probe := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: exec}}
	asks := map[string][]corev1.PodSpec{
		"hostPath and persistent volumes": {
			volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}}),
			volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}}),
		},
		"host network":          {{HostNetwork: true}},
		"privileged containers": container(corev1.Container{SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}),
		"GPUs": container(corev1.Container{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")},
		}}),
		"service account tokens in pods": {
			{AutomountServiceAccountToken: new(true)},
			volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}},
			}}),
		},
		"probes and hooks that run a command in the container": slices.Concat(
			container(corev1.Container{LivenessProbe: probe}), container(corev1.Container{ReadinessProbe: probe}), container(corev1.Container{StartupProbe: probe}),
			container(corev1.Container{Lifecycle: &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: exec}}}),
			container(corev1.Container{Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: exec}}}),
		),
	}
	others := map[string]string{
		"Istio": "no pod asks for it",
		"Deployments and other workloads of Kubernetes' own": "the API server has no such kinds",
		"cluster IPs":              "no pod asks for them",
		"NetworkPolicy":            "the serving chart refuses it",
		"Ingress":                  "the serving chart refuses it",
		"limits of CPU and memory": "a pod runs without them",
	}
	for _, lack := range Lacks() {
		specs, asked := asks[lack]
		if _, other := others[lack]; asked == other {
			t.Errorf("%q: say here which pods ask for it, or why none does", lack)
		}
		for i := range specs {
			if len(node.Unsupported(&specs[i])) == 0 {
				t.Errorf("%q: pod %d asks for it and is run", lack, i)
			}
		}
	}
	if got, want := len(Lacks()), len(asks)+len(others); got != want {
		t.Errorf("%d things are lacking, and this test knows %d", got, want)
	}
}
