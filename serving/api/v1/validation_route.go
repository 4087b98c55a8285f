package v1

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateTraffic judges a split after defaults. A Service's targets follow
// its own Configuration; a Route's must name theirs.
func (r *RouteSpec) validateTraffic(path *field.Path, namesConfiguration bool) field.ErrorList {
	if len(r.Traffic) == 0 {
		return field.ErrorList{field.Required(path, "say which revision takes the traffic")}
	}
	var errs field.ErrorList
	var sum int64
	tags := map[string]bool{}
	for i := range r.Traffic {
		t, p := &r.Traffic[i], path.Index(i)
		errs = append(errs, t.validate(p, namesConfiguration)...)
		if t.Tag != "" && tags[t.Tag] {
			errs = append(errs, field.Duplicate(p.Child("tag"), t.Tag))
		}
		tags[t.Tag] = true
		if t.Percent != nil {
			sum += *t.Percent
		}
	}
	if sum != 100 {
		errs = append(errs, field.Invalid(path, sum, fmt.Sprintf("percents sum to %d, must sum to 100", sum)))
	}
	return errs
}

func (t *TrafficTarget) validate(path *field.Path, namesConfiguration bool) field.ErrorList {
	var errs field.ErrorList
	if t.Tag != "" {
		errs = append(errs, invalid(path.Child("tag"), t.Tag, validation.IsDNS1035Label(t.Tag))...)
	}
	if t.Percent != nil {
		errs = append(errs, outside(path.Child("percent"), *t.Percent, 0, 100)...)
	}
	if t.URL != "" {
		errs = append(errs, field.Forbidden(path.Child("url"), "is written by the platform, in status only"))
	}
	latest := t.LatestRevision != nil && *t.LatestRevision
	switch {
	case t.ConfigurationName != "" && !namesConfiguration:
		errs = append(errs, field.Forbidden(path.Child("configurationName"), "a Service's traffic follows its own Configuration"))
	case t.ConfigurationName != "" && t.RevisionName != "":
		errs = append(errs, field.Forbidden(path.Child("configurationName"), "must not be set beside revisionName"))
	case t.RevisionName != "" && latest:
		errs = append(errs, field.Invalid(path.Child("latestRevision"), true, "must not be true beside revisionName"))
	case t.RevisionName == "" && !latest:
		errs = append(errs, field.Invalid(path.Child("latestRevision"), false, "must be true where no revisionName is given"))
	case t.RevisionName == "" && t.ConfigurationName == "" && namesConfiguration:
		errs = append(errs, field.Required(path.Child("configurationName"), "name a configurationName or a revisionName"))
	}
	return errs
}
