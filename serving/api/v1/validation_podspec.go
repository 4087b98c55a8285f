package v1

import (
	"fmt"
	"math"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (r *RevisionSpec) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name  string
		value int64
		most  int64
	}{
		{"containerConcurrency", *r.ContainerConcurrency, math.MaxInt64},
		{"timeoutSeconds", *r.TimeoutSeconds, math.MaxInt64},
		{"responseStartTimeoutSeconds", *r.ResponseStartTimeoutSeconds, *r.TimeoutSeconds},
		{"idleTimeoutSeconds", *r.IdleTimeoutSeconds, *r.TimeoutSeconds},
	} {
		switch {
		case f.value < 0:
			errs = append(errs, field.Invalid(path.Child(f.name), f.value, "must be at least 0"))
		case f.value > max(f.most, 0):
			errs = append(errs, field.Invalid(path.Child(f.name), f.value, fmt.Sprintf("must be at most timeoutSeconds, %d", f.most)))
		}
	}
	return append(errs, r.PodSpec.validate(path)...)
}

func (p *PodSpec) validate(path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.ServiceAccountName != "" {
		errs = append(errs, invalid(path.Child("serviceAccountName"), p.ServiceAccountName,
			validation.IsDNS1123Subdomain(p.ServiceAccountName))...)
	}
	for i, s := range p.ImagePullSecrets {
		errs = append(errs, validObject(path.Child("imagePullSecrets").Index(i).Child("name"), s.Name)...)
	}
	volumes := map[string]bool{}
	for i := range p.Volumes {
		at := path.Child("volumes").Index(i)
		if volumes[p.Volumes[i].Name] {
			errs = append(errs, field.Duplicate(at.Child("name"), p.Volumes[i].Name))
		}
		volumes[p.Volumes[i].Name] = true
		errs = append(errs, p.Volumes[i].validate(at)...)
	}
	return append(errs, p.validateContainers(path, volumes)...)
}

// validateContainers asks for one container that takes the requests; what
// stands beside it may not do what only that one may.
func (p *PodSpec) validateContainers(path *field.Path, volumes map[string]bool) field.ErrorList {
	containers := path.Child("containers")
	if len(p.Containers) == 0 {
		return field.ErrorList{field.Required(containers, "name a container")}
	}
	var errs field.ErrorList
	ports := 0
	for i := range p.Containers {
		ports += min(len(p.Containers[i].Ports), 1)
	}
	switch {
	case ports > 1:
		errs = append(errs, field.Invalid(containers, ports, "exactly one container may have ports: the one that takes the requests"))
	case ports == 0 && len(p.Containers) > 1:
		errs = append(errs, field.Required(containers, "one of several containers must have ports, to say which takes the requests"))
	}
	names := map[string]bool{}
	each := func(list []Container, at *field.Path, serving *Container) {
		for i := range list {
			if names[list[i].Name] {
				errs = append(errs, field.Duplicate(at.Index(i).Child("name"), list[i].Name))
			}
			names[list[i].Name] = true
			errs = append(errs, list[i].validate(at.Index(i), &list[i] == serving, volumes)...)
		}
	}
	each(p.InitContainers, path.Child("initContainers"), nil)
	each(p.Containers, containers, p.ServingContainer())
	for i := range p.InitContainers {
		if len(p.InitContainers[i].Ports) > 0 {
			errs = append(errs, field.Forbidden(path.Child("initContainers").Index(i).Child("ports"), "an init container takes no requests"))
		}
	}
	return errs
}

func (v *Volume) validate(path *field.Path) field.ErrorList {
	errs := invalid(path.Child("name"), v.Name, validation.IsDNS1123Label(v.Name))
	if n := set(v.Secret != nil, v.ConfigMap != nil, v.Projected != nil, v.EmptyDir != nil); n != 1 {
		errs = append(errs, field.Invalid(path, v.Name, "must have exactly one of secret, configMap, projected, emptyDir"))
	}
	if v.Secret != nil {
		errs = append(errs, validObject(path.Child("secret", "secretName"), v.Secret.SecretName)...)
	}
	if v.ConfigMap != nil {
		errs = append(errs, validObject(path.Child("configMap", "name"), v.ConfigMap.Name)...)
	}
	if v.Projected == nil {
		return errs
	}
	for i, s := range v.Projected.Sources {
		at := path.Child("projected", "sources").Index(i)
		if s.Secret != nil {
			errs = append(errs, validObject(at.Child("secret", "name"), s.Secret.Name)...)
		}
		if s.ConfigMap != nil {
			errs = append(errs, validObject(at.Child("configMap", "name"), s.ConfigMap.Name)...)
		}
		if n := set(s.Secret != nil, s.ConfigMap != nil, s.DownwardAPI != nil, s.ServiceAccountToken != nil); n != 1 {
			errs = append(errs, field.Invalid(at, v.Name,
				"must have exactly one of secret, configMap, downwardAPI, serviceAccountToken"))
		}
	}
	return errs
}

// validObject asks that a name can be that of an object of Kubernetes: it says
// what Kubernetes itself would, when the object is made.
func validObject(path *field.Path, name string) field.ErrorList {
	return invalid(path, name, validation.IsDNS1123Subdomain(name))
}

// set counts what is set.
func set(fields ...bool) int {
	n := 0
	for _, f := range fields {
		if f {
			n++
		}
	}
	return n
}
