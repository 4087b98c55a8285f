package compare

import (
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Variant is one of the ways to run the program.
type Variant struct {
	Name    string
	Serving bool // by the serving stack, else by a Deployment
	Sidecar bool
}

// Variants are the four, in the order in which they are shown.
var Variants = []Variant{
	{"serving", true, false},
	{"serving-mesh", true, true},
	{"istio", false, false},
	{"istio-sidecar", false, true},
}

const (
	// Namespace is where everything is put.
	Namespace = "devbox-compare"
	// owner is the label of what this package made, and of nothing else.
	owner = "devbox.dev/compare"
	// inject is Istio's label for a pod that is to have a sidecar, or not,
	// whatever holds for its namespace.
	inject = "sidecar.istio.io/inject"
	// gateway is the Istio Gateway of the box.
	gateway = servingv1.Namespace + "/knative-ingress-gateway"
)

// Annotations of a revision: the shortest time without requests after which it
// is at zero, and a pod that stays.
var (
	soonAtZero = map[string]string{servingv1.AutoscalingPrefix + "window": "6s"}
	alwaysOne  = map[string]string{servingv1.AutoscalingPrefix + "min-scale": "1"}
)

// host is that of a variant, by the box's domain.
func (v Variant) host(domain string) string {
	return servingv1.PublicHost("", v.Name, Namespace, domain)
}

// labels are those of a variant's pod.
func (v Variant) labels() map[string]string {
	return map[string]string{owner: v.Name, inject: strconv.FormatBool(v.Sidecar)}
}

// program is what all variants run: a manifest's pod with an image.
type program struct {
	manifest *servingv1.Service
	image    string
	domain   string
}

// spec is the pod of the manifest, with the image that was built for it.
func (p *program) spec() servingv1.RevisionSpec {
	template := p.manifest.Spec.Template.DeepCopy()
	template.Spec.ServingContainer().Image = p.image
	return template.Spec
}

// objects are what a variant is made of.
func (p *program) objects(v Variant) []client.Object {
	if v.Serving {
		return []client.Object{p.service(v, soonAtZero)}
	}
	return []client.Object{p.deployment(v), p.address(v), p.virtualService(v)}
}

// service is the program for the serving stack.
func (p *program) service(v Variant, annotations map[string]string) *servingv1.Service {
	s := &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: servingv1.GroupVersion.String(), Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: v.Name, Namespace: Namespace},
	}
	s.Spec.Template.Labels, s.Spec.Template.Annotations = v.labels(), annotations
	s.Spec.Template.Spec = p.spec()
	return s
}

// deployment is the program with the same environment and nothing beside it:
// one pod, which stays.
func (p *program) deployment(v Variant) *appsv1.Deployment {
	spec := p.spec()
	pod := spec.Kubernetes()
	port := spec.ServingContainer().UserPort()
	for i := range pod.Containers {
		c := &pod.Containers[i]
		if c.Image != p.image {
			continue
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: "PORT", Value: strconv.Itoa(int(port))})
		c.Ports = []corev1.ContainerPort{{Name: protocol(&spec), ContainerPort: port}}
		if c.Name == "" {
			c.Name = "user-container"
		}
		if c.ReadinessProbe == nil {
			c.ReadinessProbe = &corev1.Probe{
				ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(port)}},
				PeriodSeconds: 1,
			}
		}
	}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: v.Name, Namespace: Namespace},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)),
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{owner: v.Name}},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: v.labels()}, Spec: pod},
		},
	}
}

// protocol is the port's name, by which Istio knows what is spoken there.
func protocol(spec *servingv1.RevisionSpec) string {
	if spec.ServingContainer().Protocol() == servingv1.PortNameH2C {
		return "http2"
	}
	return "http"
}

// address is the Service of Kubernetes in front of a Deployment.
func (p *program) address(v Variant) *corev1.Service {
	spec := p.spec()
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: v.Name, Namespace: Namespace},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{owner: v.Name},
			Ports:    []corev1.ServicePort{{Name: protocol(&spec), Port: 80, TargetPort: intstr.FromInt32(spec.ServingContainer().UserPort())}},
		},
	}
}

// virtualService leads the variant's host from the gateway to its Service. It
// says no more, as the first one that a person writes.
func (p *program) virtualService(v Variant) *unstructured.Unstructured {
	vs := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{
			"hosts":    []any{v.host(p.domain)},
			"gateways": []any{gateway},
			"http": []any{map[string]any{"route": []any{map[string]any{"destination": map[string]any{
				"host": v.Name + "." + Namespace + ".svc.cluster.local", "port": map[string]any{"number": int64(80)},
			}}}}},
		},
	}}
	vs.SetAPIVersion("networking.istio.io/v1")
	vs.SetKind("VirtualService")
	vs.SetName(v.Name)
	vs.SetNamespace(Namespace)
	return vs
}
