package v1

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// ServingContainer is the container that takes the requests: the one with a
// port, or the only one. It is nil where validation would have refused.
func (p *PodSpec) ServingContainer() *Container {
	if len(p.Containers) == 1 {
		return &p.Containers[0]
	}
	for i := range p.Containers {
		if len(p.Containers[i].Ports) > 0 {
			return &p.Containers[i]
		}
	}
	return nil
}

// UserPort is the port that the container takes requests on.
func (c *Container) UserPort() int32 {
	if len(c.Ports) > 0 && c.Ports[0].ContainerPort != 0 {
		return c.Ports[0].ContainerPort
	}
	return DefaultUserPort
}

// Protocol is the protocol of UserPort, PortNameHTTP1 or PortNameH2C.
func (c *Container) Protocol() string {
	if len(c.Ports) > 0 && c.Ports[0].Name == PortNameH2C {
		return PortNameH2C
	}
	return PortNameHTTP1
}

// Kubernetes is the same pod in Kubernetes' own type, field by field. It adds
// three things that are the same for every revision: probes get the port of
// their container, mounts of what is no emptyDir are read-only, and no
// environment variable is made for other Services of the namespace unless
// that was asked for.
func (p *PodSpec) Kubernetes() corev1.PodSpec {
	links := p.EnableServiceLinks != nil && *p.EnableServiceLinks
	out := corev1.PodSpec{
		ServiceAccountName:           p.ServiceAccountName,
		AutomountServiceAccountToken: p.AutomountServiceAccountToken,
		ImagePullSecrets:             p.ImagePullSecrets,
		EnableServiceLinks:           &links,
	}
	writable := map[string]bool{}
	for i := range p.Volumes {
		out.Volumes = append(out.Volumes, p.Volumes[i].kubernetes())
		writable[p.Volumes[i].Name] = p.Volumes[i].EmptyDir != nil
	}
	for i := range p.InitContainers {
		out.InitContainers = append(out.InitContainers, p.InitContainers[i].kubernetes(writable))
	}
	for i := range p.Containers {
		out.Containers = append(out.Containers, p.Containers[i].kubernetes(writable))
	}
	return *out.DeepCopy()
}

func (c *Container) kubernetes(writable map[string]bool) corev1.Container {
	out := corev1.Container{
		Name:                     c.Name,
		Image:                    c.Image,
		Command:                  c.Command,
		Args:                     c.Args,
		WorkingDir:               c.WorkingDir,
		EnvFrom:                  c.EnvFrom,
		Resources:                corev1.ResourceRequirements{Limits: c.Resources.Limits, Requests: c.Resources.Requests},
		LivenessProbe:            c.LivenessProbe.Kubernetes(c.UserPort()),
		ReadinessProbe:           c.ReadinessProbe.Kubernetes(c.UserPort()),
		StartupProbe:             c.StartupProbe.Kubernetes(c.UserPort()),
		TerminationMessagePath:   c.TerminationMessagePath,
		TerminationMessagePolicy: c.TerminationMessagePolicy,
		ImagePullPolicy:          c.ImagePullPolicy,
		SecurityContext:          c.SecurityContext.kubernetes(),
	}
	for _, p := range c.Ports {
		out.Ports = append(out.Ports, corev1.ContainerPort{Name: p.Name, ContainerPort: c.UserPort(), Protocol: p.Protocol})
	}
	for _, e := range c.Env {
		out.Env = append(out.Env, e.kubernetes())
	}
	for _, m := range c.VolumeMounts {
		out.VolumeMounts = append(out.VolumeMounts, corev1.VolumeMount{
			Name: m.Name, ReadOnly: m.ReadOnly || !writable[m.Name], MountPath: m.MountPath, SubPath: m.SubPath,
		})
	}
	return out
}

// Kubernetes is the same probe in Kubernetes' own type. A port that is absent
// or a name is the given one. It is nil for nil.
func (p *Probe) Kubernetes(port int32) *corev1.Probe {
	if p == nil {
		return nil
	}
	out := &corev1.Probe{
		InitialDelaySeconds: p.InitialDelaySeconds,
		TimeoutSeconds:      p.TimeoutSeconds,
		PeriodSeconds:       p.PeriodSeconds,
		SuccessThreshold:    p.SuccessThreshold,
		FailureThreshold:    p.FailureThreshold,
	}
	switch {
	case p.HTTPGet != nil:
		out.HTTPGet = &corev1.HTTPGetAction{
			Path: p.HTTPGet.Path, Port: number(p.HTTPGet.Port, port), Host: p.HTTPGet.Host,
			Scheme: p.HTTPGet.Scheme, HTTPHeaders: p.HTTPGet.HTTPHeaders,
		}
	case p.TCPSocket != nil:
		out.TCPSocket = &corev1.TCPSocketAction{Port: number(p.TCPSocket.Port, port), Host: p.TCPSocket.Host}
	case p.GRPC != nil:
		out.GRPC = &corev1.GRPCAction{Port: number(intstr.FromInt32(p.GRPC.Port), port).IntVal, Service: p.GRPC.Service}
	case p.Exec != nil:
		out.Exec = p.Exec
	}
	return out.DeepCopy()
}

// number is a probe's port as a number: what is none is the container's own.
func number(p intstr.IntOrString, own int32) intstr.IntOrString {
	if n := p.IntValue(); n != 0 {
		return intstr.FromInt32(int32(n))
	}
	return intstr.FromInt32(own)
}

func (v *Volume) kubernetes() corev1.Volume {
	out := corev1.Volume{Name: v.Name}
	out.Secret, out.ConfigMap, out.EmptyDir = v.Secret, v.ConfigMap, v.EmptyDir
	if v.Projected != nil {
		out.Projected = &corev1.ProjectedVolumeSource{DefaultMode: v.Projected.DefaultMode}
		for _, s := range v.Projected.Sources {
			out.Projected.Sources = append(out.Projected.Sources, corev1.VolumeProjection{
				Secret: s.Secret, DownwardAPI: s.DownwardAPI, ConfigMap: s.ConfigMap, ServiceAccountToken: s.ServiceAccountToken,
			})
		}
	}
	return out
}

func (e *EnvVar) kubernetes() corev1.EnvVar {
	out := corev1.EnvVar{Name: e.Name, Value: e.Value}
	if e.ValueFrom != nil {
		out.ValueFrom = &corev1.EnvVarSource{ConfigMapKeyRef: e.ValueFrom.ConfigMapKeyRef, SecretKeyRef: e.ValueFrom.SecretKeyRef}
	}
	return out
}

func (s *SecurityContext) kubernetes() *corev1.SecurityContext {
	if s == nil {
		return nil
	}
	var capabilities *corev1.Capabilities
	if s.Capabilities != nil {
		capabilities = &corev1.Capabilities{Add: s.Capabilities.Add, Drop: s.Capabilities.Drop}
	}
	return &corev1.SecurityContext{
		Capabilities:             capabilities,
		RunAsUser:                s.RunAsUser,
		RunAsGroup:               s.RunAsGroup,
		RunAsNonRoot:             s.RunAsNonRoot,
		ReadOnlyRootFilesystem:   s.ReadOnlyRootFilesystem,
		AllowPrivilegeEscalation: s.AllowPrivilegeEscalation,
		SeccompProfile:           s.SeccompProfile,
	}
}
