package v1

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// autoscalingRules are the annotations with a range, each in Knative's
// current spelling; its older camelCase one is taken for the same.
var autoscalingRules = map[string]func(string) string{
	"min-scale":                          whole(0),
	"max-scale":                          whole(0),
	"initial-scale":                      whole(0),
	"activation-scale":                   whole(2),
	"target":                             decimal(0.01, math.MaxFloat64),
	"target-utilization-percentage":      decimal(1, 100),
	"target-burst-capacity":              burst,
	"panic-window-percentage":            decimal(1, 100),
	"panic-threshold-percentage":         decimal(110, 1000),
	"window":                             span(6*time.Second, time.Hour),
	"scale-down-delay":                   span(0, time.Hour),
	"scale-to-zero-pod-retention-period": span(0, time.Hour),
	"metric-aggregation-algorithm":       oneOf("linear", "weighted-exponential"),
	"class":                              oneOf("kpa.autoscaling.knative.dev"),
	"metric":                             oneOf("concurrency", "rps"),
}

// queueRules are the annotations that size a revision's queue-proxy.
var queueRules = map[string]func(string) string{
	"resource-percentage":                decimal(0.1, 100),
	"cpu-resource-request":               quantity,
	"cpu-resource-limit":                 quantity,
	"memory-resource-request":            quantity,
	"memory-resource-limit":              quantity,
	"ephemeral-storage-resource-request": quantity,
	"ephemeral-storage-resource-limit":   quantity,
}

// settled are the annotations for the network, and of features, that say what
// a box does anyway, in lower case.
var settled = []string{
	"networking.knative.dev/ingress-class=istio.ingress.networking.knative.dev",
	"networking.knative.dev/ingress.class=istio.ingress.networking.knative.dev",
	"networking.knative.dev/http-protocol=enabled",
	"networking.knative.dev/httpprotocol=enabled",
	"networking.knative.dev/disable-auto-tls=true",
	"networking.knative.dev/disableautotls=true",
	"features.knative.dev/http-full-duplex=enabled",
}

// Knative Serving's own annotations that are read, or written by the platform and
// so in what people export: on what people make, on what has traffic, and on a
// template.
var (
	readAnywhere    = []string{CreatorAnnotation, LastModifierAnnotation, RoutesAnnotation}
	readWithTraffic = slices.Concat(readAnywhere, rolloutSpellings)
	readOnTemplates = slices.Concat(readAnywhere, []string{
		ProgressDeadlineAnnotation, NoGCAnnotation, RoutingStateModified, GroupName + "/lastPinned",
	})
)

// validateRead refuses Knative Serving's own annotations that nobody reads where
// they stand: there are other places for some, and others are mistyped.
func validateRead(annotations map[string]string, read []string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		switch {
		case !strings.HasPrefix(key, GroupName+"/"), slices.Contains(read, key):
		case key == ProgressDeadlineAnnotation, key == NoGCAnnotation:
			errs = append(errs, field.Forbidden(path.Key(key), "belongs under spec.template.metadata.annotations"))
		case slices.Contains(rolloutSpellings, key):
			errs = append(errs, field.Forbidden(path.Key(key), "belongs under metadata.annotations of a Service or a Route"))
		default:
			errs = append(errs, field.Forbidden(path.Key(key), "is no annotation of Knative Serving's: leave it out"))
		}
	}
	return errs
}

// validateRevisionAnnotations judges a revision's annotations, or its
// template's.
func validateRevisionAnnotations(annotations map[string]string, path *field.Path) field.ErrorList {
	errs := validateAutoscaling(annotations, path)
	errs = append(errs, validateQueue(annotations, path)...)
	return append(errs, validateSettled(annotations, path)...)
}

// validateQueue judges the annotations that size queue-proxy.
func validateQueue(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ok := strings.CutPrefix(key, QueuePrefix)
		if !ok {
			continue
		}
		rule := queueRules[name]
		if rule == nil {
			errs = append(errs, field.Forbidden(path.Key(key), "is no annotation that sizes queue-proxy"))
		} else if wrong := rule(annotations[key]); wrong != "" {
			errs = append(errs, field.Invalid(path.Key(key), annotations[key], wrong))
		}
	}
	return errs
}

// validateSettled refuses annotations that ask the network, or a feature, for
// what a box does not do.
func validateSettled(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		said := strings.ToLower(key + "=" + annotations[key])
		if (strings.HasPrefix(key, networkingPrefix) || strings.HasPrefix(key, FeaturesPrefix)) && !slices.Contains(settled, said) {
			errs = append(errs, field.Invalid(path.Key(key), annotations[key], "is not obeyed in a box: leave it out"))
		}
	}
	return errs
}

func quantity(s string) string {
	if q, err := resource.ParseQuantity(s); err != nil || q.Sign() < 0 {
		return "must be a quantity from 0, as 100m or 50Mi"
	}
	return ""
}

// validateAutoscaling judges the annotations that the autoscaler reads.
func validateAutoscaling(annotations map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for key, value := range annotations {
		rule := autoscalingRules[autoscalingName(key)]
		switch {
		case key == ProgressDeadlineAnnotation:
			rule = span(time.Second, 24*time.Hour)
		case rule == nil && autoscalingName(key) != "":
			errs = append(errs, field.Forbidden(path.Key(key), "is no annotation that the autoscaler reads"))
			continue
		case rule == nil:
			continue
		}
		if wrong := rule(value); wrong != "" {
			errs = append(errs, field.Invalid(path.Key(key), value, wrong))
		}
	}
	// A map has no order, and messages should have one.
	slices.SortFunc(errs, func(a, b *field.Error) int { return strings.Compare(a.Field, b.Field) })
	return append(errs, validateScales(annotations, path)...)
}

// validateScales asks that the bounds do not cross. A maximum of 0 is none.
func validateScales(annotations map[string]string, path *field.Path) field.ErrorList {
	var low, high int
	for key, value := range annotations {
		n, err := strconv.Atoi(value)
		switch name := autoscalingName(key); {
		case err != nil: // it has its error already
		case name == "min-scale":
			low = n
		case name == "max-scale":
			high = n
		}
	}
	if high > 0 && low > high {
		return field.ErrorList{field.Invalid(path.Key(AutoscalingPrefix+"min-scale"), low,
			fmt.Sprintf("must be at most max-scale, %d", high))}
	}
	return nil
}

// autoscalingName is the kebab-case name of an autoscaling annotation without
// the prefix, "" for any other annotation.
func autoscalingName(key string) string {
	name, ok := strings.CutPrefix(key, AutoscalingPrefix)
	if !ok {
		return ""
	}
	var kebab strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			kebab.WriteByte('-')
			r += 'a' - 'A'
		}
		kebab.WriteRune(r)
	}
	return kebab.String()
}

func whole(low int64) func(string) string {
	return func(s string) string {
		if n, err := strconv.ParseInt(s, 10, 32); err != nil || n < low {
			return fmt.Sprintf("must be a whole number from %d to %d", low, math.MaxInt32)
		}
		return ""
	}
}

func decimal(low, high float64) func(string) string {
	return func(s string) string {
		switch f, err := strconv.ParseFloat(s, 64); {
		case err == nil && f >= low && f <= high: // false for NaN
			return ""
		case high == math.MaxFloat64:
			return fmt.Sprintf("must be a number, at least %v", low)
		default:
			return fmt.Sprintf("must be a number from %v to %v", low, high)
		}
	}
}

func burst(s string) string {
	if f, err := strconv.ParseFloat(s, 64); err == nil && (f == -1 || f >= 0) {
		return ""
	}
	return "must be -1 for no limit, 0 for none, or a number above it"
}

func span(low, high time.Duration) func(string) string {
	return func(s string) string {
		if d, err := time.ParseDuration(s); err != nil || d < low || d > high || d%time.Second != 0 {
			return fmt.Sprintf("must be a duration of whole seconds from %v to %v", low, high)
		}
		return ""
	}
}

func oneOf(values ...string) func(string) string {
	return func(s string) string {
		if !slices.Contains(values, s) {
			return "must be one of " + strings.Join(values, ", ")
		}
		return ""
	}
}
