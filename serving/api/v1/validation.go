package v1

import (
	"maps"
	"math"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// undecided are defaults by which an object is judged where no box's ConfigMaps are
// at hand: a field that is absent bounds no other.
func undecided() Defaults {
	d := KnativeDefaults()
	d.TimeoutSeconds = math.MaxInt64
	return d
}

// Validate says what is wrong with the object, field by field, counting an
// absent field as its default. It says what the API server says, and a little
// more where a schema cannot; but not what a box's ConfigMaps decide, such as how
// long a timeout may be, which is the server's alone to say.
func (s *Service) Validate() field.ErrorList {
	s = s.DeepCopy()
	s.setDefaultsOf(undecided())
	spec, template := field.NewPath("spec"), field.NewPath("spec", "template")
	errs := validateMeta(&s.ObjectMeta, readWithTraffic)
	errs = append(errs, s.Spec.Template.validate(&s.ObjectMeta, template)...)
	errs = append(errs, s.Spec.validateTraffic(spec.Child("traffic"), false)...)
	for i, t := range s.Spec.Traffic {
		errs = append(errs, validateHostLabel(t.Tag, s.Name, spec.Child("traffic").Index(i).Child("tag"))...)
	}
	return errs
}

// Validate says what is wrong with the object, counting an absent field as
// its default.
func (c *Configuration) Validate() field.ErrorList {
	c = c.DeepCopy()
	c.Spec.Template.Spec.SetDefaultsOf(undecided())
	errs := validateMeta(&c.ObjectMeta, readAnywhere)
	return append(errs, c.Spec.Template.validate(&c.ObjectMeta, field.NewPath("spec", "template"))...)
}

// Validate says what is wrong with the object, counting an absent field as
// its default.
func (r *Revision) Validate() field.ErrorList {
	r = r.DeepCopy()
	r.Spec.SetDefaultsOf(undecided())
	errs := validateName(&r.ObjectMeta)
	errs = append(errs, validateRevisionAnnotations(r.Annotations, field.NewPath("metadata", "annotations"))...)
	return append(errs, r.Spec.validate(field.NewPath("spec"))...)
}

// Validate says what is wrong with the object, counting an absent field as
// its default.
func (r *Route) Validate() field.ErrorList {
	r = r.DeepCopy()
	r.SetDefaults()
	traffic := field.NewPath("spec", "traffic")
	errs := append(validateMeta(&r.ObjectMeta, readWithTraffic), r.Spec.validateTraffic(traffic, true)...)
	for i, t := range r.Spec.Traffic {
		errs = append(errs, validateHostLabel(t.Tag, r.Name, traffic.Index(i).Child("tag"))...)
	}
	return errs
}

// validateName asks for a name that can be the first label of a host. One
// that the API server has yet to generate is not there to be judged.
func validateName(m *metav1.ObjectMeta) field.ErrorList {
	if m.Name == "" && m.GenerateName != "" {
		return nil
	}
	path := field.NewPath("metadata", "name")
	if m.Name == "" {
		return field.ErrorList{field.Required(path, "give it a name")}
	}
	return invalid(path, m.Name, validation.IsDNS1035Label(m.Name))
}

// validateMeta is for the kinds that no pod is made from directly. Of Knative
// Serving's own annotations they read some.
func validateMeta(m *metav1.ObjectMeta, read []string) field.ErrorList {
	path := field.NewPath("metadata", "annotations")
	errs := append(validateName(m), validateRead(m.Annotations, read, path)...)
	errs = append(errs, validateRolloutDuration(m.Annotations, path)...)
	for _, key := range slices.Sorted(maps.Keys(m.Annotations)) {
		switch {
		case strings.HasPrefix(key, AutoscalingPrefix):
			errs = append(errs, field.Forbidden(path.Key(key), "autoscaling annotations belong under spec.template.metadata.annotations"))
		case strings.HasPrefix(key, QueuePrefix), strings.HasPrefix(key, FeaturesPrefix):
			errs = append(errs, field.Forbidden(path.Key(key), "belongs under spec.template.metadata.annotations"))
		}
	}
	if said, ok := m.Labels[VisibilityLabel]; ok && said != VisibilityClusterLocal {
		errs = append(errs, field.NotSupported(field.NewPath("metadata", "labels").Key(VisibilityLabel), said, []string{VisibilityClusterLocal}))
	}
	network := maps.Clone(m.Annotations)
	maps.DeleteFunc(network, func(key, _ string) bool { return !strings.HasPrefix(key, networkingPrefix) })
	return append(errs, validateSettled(network, path)...)
}

// validate judges a template of the object with the given metadata.
func (t *RevisionTemplateSpec) validate(owner *metav1.ObjectMeta, path *field.Path) field.ErrorList {
	meta := path.Child("metadata")
	errs := apivalidation.ValidateAnnotations(t.Annotations, meta.Child("annotations"))
	errs = append(errs, metav1validation.ValidateLabels(t.Labels, meta.Child("labels"))...)
	errs = append(errs, validateRevisionAnnotations(t.Annotations, meta.Child("annotations"))...)
	errs = append(errs, validateRead(t.Annotations, readOnTemplates, meta.Child("annotations"))...)
	if t.Name != "" {
		errs = append(errs, invalid(meta.Child("name"), t.Name, validation.IsDNS1035Label(t.Name))...)
		switch {
		case owner.GenerateName != "":
			errs = append(errs, field.Forbidden(meta.Child("name"),
				"a revision cannot bring its own name where metadata.generateName makes the service's"))
		case !strings.HasPrefix(t.Name, owner.Name+"-"):
			errs = append(errs, field.Invalid(meta.Child("name"), t.Name, "must start with "+owner.Name+"-"))
		}
	}
	return append(errs, t.Spec.validate(path.Child("spec"))...)
}

// validateHostLabel asks that a tag's host has a first label of legal length.
func validateHostLabel(tag, route string, path *field.Path) field.ErrorList {
	if tag == "" || len(TaggedName(tag, route)) <= validation.DNS1035LabelMaxLength {
		return nil
	}
	return field.ErrorList{field.TooLong(path, tag, validation.DNS1035LabelMaxLength-len(TaggedName("", route))-1)}
}

// invalid turns the messages of apimachinery's validators into field errors.
func invalid(path *field.Path, value any, messages []string) field.ErrorList {
	var errs field.ErrorList
	for _, m := range messages {
		errs = append(errs, field.Invalid(path, value, m))
	}
	return errs
}

// outside refuses a number that is not between low and high.
func outside(path *field.Path, value, low, high int64) field.ErrorList {
	if value >= low && value <= high {
		return nil
	}
	return invalid(path, value, validation.IsInRange(int(value), int(low), int(high)))
}
