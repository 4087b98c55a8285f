package v1

import (
	"path"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// What the platform keeps for itself in every pod.
var (
	reservedPorts = []int32{8008, HTTPPort, H2CPort, QueueAdminPort, 8112, AutometricPort, UsermetricPort}
	reservedEnv   = []string{"K_SERVICE", "K_CONFIGURATION", "K_REVISION"}
	reservedPaths = []string{"/", "/dev", "/dev/log"}
)

// validate judges one container; serving says that it takes the requests.
func (c *Container) validate(at *field.Path, serving bool, volumes map[string]bool) field.ErrorList {
	errs := invalid(at.Child("name"), c.Name, validation.IsDNS1123Label(c.Name))
	if c.Name == QueueContainer {
		errs = append(errs, field.Forbidden(at.Child("name"), QueueContainer+" is the platform's own container: take another name"))
	}
	if c.Image == "" {
		errs = append(errs, field.Required(at.Child("image"), "name an image"))
	}
	errs = append(errs, c.validatePorts(at.Child("ports"))...)
	errs = append(errs, c.validateEnv(at.Child("env"), serving)...)
	errs = append(errs, c.validateEnvFrom(at.Child("envFrom"))...)
	errs = append(errs, c.validateMounts(at.Child("volumeMounts"), volumes)...)
	errs = append(errs, c.SecurityContext.validate(at.Child("securityContext"))...)
	errs = append(errs, c.validateProbes(at, serving)...)
	errs = append(errs, oneOrNone(at.Child("imagePullPolicy"), c.ImagePullPolicy, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
	return append(errs, oneOrNone(at.Child("terminationMessagePolicy"), c.TerminationMessagePolicy,
		corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
}

// oneOrNone refuses a value that is neither empty nor one of some.
func oneOrNone[T ~string](at *field.Path, value T, some ...T) field.ErrorList {
	if value == "" || slices.Contains(some, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(at, value, some)}
}

// validateProbes leaves probes to the container that takes the requests.
func (c *Container) validateProbes(at *field.Path, serving bool) field.ErrorList {
	var errs field.ErrorList
	probes := map[string]*Probe{"livenessProbe": c.LivenessProbe, "readinessProbe": c.ReadinessProbe, "startupProbe": c.StartupProbe}
	for _, name := range []string{"livenessProbe", "readinessProbe", "startupProbe"} {
		p := probes[name]
		switch {
		case p == nil:
		case !serving:
			errs = append(errs, field.Forbidden(at.Child(name), "only the container that takes the requests may have probes"))
		default:
			errs = append(errs, p.validate(at.Child(name), name == "readinessProbe")...)
		}
	}
	return errs
}

func (c *Container) validatePorts(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(c.Ports) > 1 {
		errs = append(errs, field.TooMany(at, len(c.Ports), 1))
	}
	for i, p := range c.Ports {
		port := at.Index(i)
		errs = append(errs, invalid(port.Child("containerPort"), p.ContainerPort, validation.IsValidPortNum(int(p.ContainerPort)))...)
		if slices.Contains(reservedPorts, p.ContainerPort) {
			errs = append(errs, field.Forbidden(port.Child("containerPort"),
				"is a port of queue-proxy's, which is in every pod (8012, 8013, 8022, 9090, 9091), or reserved (8008, 8112): take another"))
		}
		errs = append(errs, oneOrNone(port.Child("name"), p.Name, PortNameHTTP1, PortNameH2C)...)
		errs = append(errs, oneOrNone(port.Child("protocol"), p.Protocol, corev1.ProtocolTCP)...)
	}
	return errs
}

func (c *Container) validateEnv(at *field.Path, serving bool) field.ErrorList {
	var errs field.ErrorList
	for i, e := range c.Env {
		name := at.Index(i).Child("name")
		errs = append(errs, invalid(name, e.Name, validation.IsRelaxedEnvVarName(e.Name))...)
		if slices.Contains(reservedEnv, e.Name) || serving && e.Name == "PORT" {
			errs = append(errs, field.Forbidden(name, e.Name+" is set by the platform"))
		}
		if e.ValueFrom == nil {
			continue
		}
		if e.Value != "" || set(e.ValueFrom.ConfigMapKeyRef != nil, e.ValueFrom.SecretKeyRef != nil) != 1 {
			errs = append(errs, field.Invalid(at.Index(i), e.Name, "must have a value, or a valueFrom with one of configMapKeyRef, secretKeyRef"))
		}
		if ref := e.ValueFrom.ConfigMapKeyRef; ref != nil {
			errs = append(errs, validKey(at.Index(i).Child("valueFrom", "configMapKeyRef"), ref.Name, ref.Key)...)
		}
		if ref := e.ValueFrom.SecretKeyRef; ref != nil {
			errs = append(errs, validKey(at.Index(i).Child("valueFrom", "secretKeyRef"), ref.Name, ref.Key)...)
		}
	}
	return errs
}

// validKey asks that an object can have the name, and the key.
func validKey(at *field.Path, name, key string) field.ErrorList {
	return append(validObject(at.Child("name"), name), invalid(at.Child("key"), key, validation.IsConfigMapKey(key))...)
}

func (c *Container) validateEnvFrom(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, e := range c.EnvFrom {
		if ref := e.ConfigMapRef; ref != nil {
			errs = append(errs, validObject(at.Index(i).Child("configMapRef", "name"), ref.Name)...)
		}
		if ref := e.SecretRef; ref != nil {
			errs = append(errs, validObject(at.Index(i).Child("secretRef", "name"), ref.Name)...)
		}
	}
	return errs
}

func (c *Container) validateMounts(at *field.Path, volumes map[string]bool) field.ErrorList {
	var errs field.ErrorList
	paths := map[string]bool{}
	for i, m := range c.VolumeMounts {
		mount := at.Index(i)
		clean := path.Clean(m.MountPath)
		if !volumes[m.Name] {
			errs = append(errs, field.NotFound(mount.Child("name"), m.Name))
		}
		switch {
		case !path.IsAbs(m.MountPath):
			errs = append(errs, field.Invalid(mount.Child("mountPath"), m.MountPath, "must be an absolute path"))
		case slices.Contains(reservedPaths, clean):
			errs = append(errs, field.Forbidden(mount.Child("mountPath"), clean+" is the platform's own: take another"))
		case paths[clean]:
			errs = append(errs, field.Duplicate(mount.Child("mountPath"), m.MountPath))
		}
		paths[clean] = true
	}
	return errs
}

func (s *SecurityContext) validate(at *field.Path) field.ErrorList {
	if s == nil {
		return nil
	}
	var errs field.ErrorList
	if s.RunAsUser != nil {
		errs = append(errs, invalid(at.Child("runAsUser"), *s.RunAsUser, validation.IsValidUserID(*s.RunAsUser))...)
	}
	if s.RunAsGroup != nil {
		errs = append(errs, invalid(at.Child("runAsGroup"), *s.RunAsGroup, validation.IsValidGroupID(*s.RunAsGroup))...)
	}
	if s.Capabilities == nil {
		return errs
	}
	for i, c := range s.Capabilities.Add {
		if c != "NET_BIND_SERVICE" {
			errs = append(errs, field.NotSupported(at.Child("capabilities", "add").Index(i), c, []corev1.Capability{"NET_BIND_SERVICE"}))
		}
	}
	return errs
}
