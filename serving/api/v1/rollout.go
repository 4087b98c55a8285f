package v1

import (
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// rolloutSpellings are Knative's names of RolloutDurationAnnotation, the one that
// counts first.
var rolloutSpellings = []string{RolloutDurationAnnotation, GroupName + "/rolloutDuration"}

var errRolloutDuration = errors.New("must be a duration of whole seconds, such as 90s or 2m")

// RolloutDuration is how long an object's annotations want its traffic to take to
// another revision; 0 is that they do not say. Its error is what a value must be
// that is none.
func RolloutDuration(annotations map[string]string) (time.Duration, error) {
	for _, key := range rolloutSpellings {
		if text := annotations[key]; text != "" {
			return parseRolloutDuration(text)
		}
	}
	return 0, nil
}

func parseRolloutDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d%time.Second != 0 {
		return 0, errRolloutDuration
	}
	return d, nil
}

// validateRolloutDuration judges the annotation on what has traffic.
func validateRolloutDuration(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range rolloutSpellings {
		if text := annotations[key]; text != "" {
			if _, err := parseRolloutDuration(text); err != nil {
				errs = append(errs, field.Invalid(path.Key(key), text, err.Error()))
			}
		}
	}
	return errs
}
