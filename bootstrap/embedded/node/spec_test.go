package node

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestUnsupported(t *testing.T) {
	one := func(c corev1.Container) corev1.PodSpec { return corev1.PodSpec{Containers: []corev1.Container{c}} }
	volume := func(s corev1.VolumeSource) corev1.PodSpec {
		return corev1.PodSpec{Volumes: []corev1.Volume{{Name: "v", VolumeSource: s}}}
	}
	exec := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"true"}}}
	for _, c := range []struct {
		field string // the only one refused
		spec  corev1.PodSpec
	}{
		{"", one(corev1.Container{Name: "plain", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")},
		}, SecurityContext: &corev1.SecurityContext{Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}})},
		{"spec.hostNetwork", corev1.PodSpec{HostNetwork: true}},
		{"spec.hostPID", corev1.PodSpec{HostPID: true}},
		{"spec.hostIPC", corev1.PodSpec{HostIPC: true}},
		{"spec.shareProcessNamespace", corev1.PodSpec{ShareProcessNamespace: new(true)}},
		{"spec.runtimeClassName", corev1.PodSpec{RuntimeClassName: new("gvisor")}},
		{"spec.automountServiceAccountToken", corev1.PodSpec{AutomountServiceAccountToken: new(true)}},
		{"", corev1.PodSpec{AutomountServiceAccountToken: new(false), ShareProcessNamespace: new(false)}},
		{"spec.hostAliases", corev1.PodSpec{HostAliases: []corev1.HostAlias{{IP: "127.0.0.1"}}}},
		{"spec.resourceClaims", corev1.PodSpec{ResourceClaims: []corev1.PodResourceClaim{{Name: "gpu"}}}},
		{"", volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: corev1.StorageMediumMemory}})},
		{"", volume(corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{}})},
		{"spec.volumes[0].emptyDir.medium", volume(corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{Medium: "HugePages-2Mi"}})},
		{"spec.volumes[0].hostPath", volume(corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/"}})},
		{"spec.volumes[0].persistentVolumeClaim", volume(corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{}})},
		{"spec.volumes[0].nfs", volume(corev1.VolumeSource{NFS: &corev1.NFSVolumeSource{}})},
		{"spec.volumes[0]", volume(corev1.VolumeSource{ISCSI: &corev1.ISCSIVolumeSource{}})},
		{"spec.volumes[0].projected.sources[1].serviceAccountToken", volume(corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
			Sources: []corev1.VolumeProjection{{ConfigMap: &corev1.ConfigMapProjection{}}, {ServiceAccountToken: &corev1.ServiceAccountTokenProjection{}}},
		}})},
		{"spec.containers[0].securityContext.privileged", one(corev1.Container{SecurityContext: &corev1.SecurityContext{Privileged: new(true)}})},
		{"spec.containers[0].securityContext.capabilities.add", one(corev1.Container{SecurityContext: &corev1.SecurityContext{
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN"}},
		}})},
		{"spec.containers[0].resources.limits[nvidia.com/gpu]", one(corev1.Container{Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("1")},
		}})},
		{"spec.containers[0].ports[0].hostPort", one(corev1.Container{Ports: []corev1.ContainerPort{{HostPort: 80}}})},
		{"spec.containers[0].readinessProbe.exec", one(corev1.Container{ReadinessProbe: &corev1.Probe{ProbeHandler: exec}})},
		{"spec.containers[0].lifecycle.preStop.exec", one(corev1.Container{Lifecycle: &corev1.Lifecycle{
			PreStop: &corev1.LifecycleHandler{Exec: exec.Exec},
		}})},
		{"spec.initContainers[0].tty", corev1.PodSpec{InitContainers: []corev1.Container{{TTY: true}}}},
	} {
		var fields []string
		for _, err := range Unsupported(&c.spec) {
			fields = append(fields, err.Field)
			if !strings.HasPrefix(err.Detail, "the embedded engine ") {
				t.Errorf("%s: %s does not say what cannot be done", c.field, err.Detail)
			}
		}
		if got := strings.Join(fields, " "); got != c.field {
			t.Errorf("got %q refused, want %q", got, c.field)
		}
	}
}

func TestMovePorts(t *testing.T) {
	get := func(port intstr.IntOrString) *corev1.HTTPGetAction { return &corev1.HTTPGetAction{Port: port} }
	text := func(port int32) string { return strconv.Itoa(int(port)) }
	spec := func(port, queue, admin int32) *corev1.PodSpec {
		p := intstr.FromInt32(port)
		return &corev1.PodSpec{Containers: []corev1.Container{
			{
				Name:           "app",
				Ports:          []corev1.ContainerPort{{Name: "user-port", ContainerPort: port}, {Name: "metrics", ContainerPort: 9000}},
				Env:            []corev1.EnvVar{{Name: "PORT", Value: text(port)}, {Name: "OTHER", Value: "8080"}, {Name: "USER_PORT", Value: "9000"}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get(p)}},
				LivenessProbe:  &corev1.Probe{ProbeHandler: corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: port}}},
				StartupProbe:   &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("user-port")}}},
				Lifecycle: &corev1.Lifecycle{
					PostStart: &corev1.LifecycleHandler{HTTPGet: get(p)}, PreStop: &corev1.LifecycleHandler{HTTPGet: get(intstr.FromInt32(admin))},
				},
			},
			{
				Name:           "queue",
				Ports:          []corev1.ContainerPort{{Name: "queue-port", ContainerPort: queue}, {Name: "http-queueadm", ContainerPort: admin}},
				Env:            []corev1.EnvVar{{Name: "USER_PORT", Value: text(port)}, {Name: "QUEUE_SERVING_PORT", Value: text(queue)}},
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: get(intstr.FromInt32(queue))}},
			},
		}}
	}
	got := spec(8080, 8012, 8022)
	movePorts(got, map[string]int32{"user-port": 20001})
	if d := cmp.Diff(spec(20001, 8012, 8022), got); d != "" {
		t.Errorf("the user's alone (-want +got):\n%s", d)
	}
	got = spec(8080, 8012, 8022)
	movePorts(got, map[string]int32{"user-port": 20001, "queue-port": 20002, "http-queueadm": 20003})
	if d := cmp.Diff(spec(20001, 20002, 20003), got); d != "" {
		t.Errorf("all (-want +got):\n%s", d)
	}
	without := &corev1.PodSpec{Containers: []corev1.Container{{Env: []corev1.EnvVar{{Name: "PORT", Value: "8080"}}}}}
	movePorts(without, nil)
	if got := without.Containers[0].Env[0].Value; got != "8080" {
		t.Errorf("a pod without a user-port has PORT=%s, want it untouched", got)
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		command, args []string
		want          string
	}{
		{nil, nil, "/entry cmd"},
		{nil, []string{"a"}, "/entry a"},
		{[]string{"/c"}, nil, "/c"},
		{[]string{"/c"}, []string{"a", "$(WHO)", "$$(WHO)", "$(NOBODY)"}, "/c a me $(WHO) $(NOBODY)"},
	} {
		got := command(&corev1.Container{Command: c.command, Args: c.args},
			[]string{"/entry"}, []string{"cmd"}, map[string]string{"WHO": "me"})
		if strings.Join(got, " ") != c.want {
			t.Errorf("command %q, args %q: got %q, want %s", c.command, c.args, got, c.want)
		}
	}
}

func TestUser(t *testing.T) {
	for _, c := range []struct {
		name      string
		pod       *corev1.PodSecurityContext
		container *corev1.SecurityContext
		image     string
		want      string
		refused   string
	}{
		{name: "the image's own", image: "65532"},
		{name: "the pod's", pod: &corev1.PodSecurityContext{RunAsUser: new(int64(7))}, image: "65532", want: "7"},
		{name: "the container's first", pod: &corev1.PodSecurityContext{RunAsUser: new(int64(7))},
			container: &corev1.SecurityContext{RunAsUser: new(int64(8)), RunAsGroup: new(int64(9))}, want: "8:9"},
		{name: "another group for the image's user", pod: &corev1.PodSecurityContext{RunAsGroup: new(int64(9))}, image: "nobody", want: "nobody:9"},
		{name: "root's other group", pod: &corev1.PodSecurityContext{RunAsGroup: new(int64(9))}, want: "0:9"},
		{name: "not root", pod: &corev1.PodSecurityContext{RunAsNonRoot: new(true)}, image: "65532:65532"},
		{name: "root asked for and refused", pod: &corev1.PodSecurityContext{RunAsNonRoot: new(true), RunAsUser: new(int64(0))},
			refused: "container's runAsUser breaks non-root policy"},
		{name: "the image's root refused", pod: &corev1.PodSecurityContext{RunAsNonRoot: new(true)},
			refused: "container has runAsNonRoot and image will run as root"},
	} {
		got, err := user(c.pod, c.container, c.image)
		if c.refused != "" {
			if err == nil || err.Error() != c.refused {
				t.Errorf("%s: got %v, want %s", c.name, err, c.refused)
			}
			continue
		}
		if err != nil || got != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, got, err, c.want)
		}
	}
}
