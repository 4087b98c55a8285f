package autoscaler

import (
	"fmt"
	"math"
	"strings"
	"time"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Metric is what a revision is scaled by.
type Metric string

// The metrics.
const (
	Concurrency Metric = "concurrency" // requests in flight
	RPS         Metric = "rps"         // requests a second
)

// Aggregation is how samples become one number.
type Aggregation string

// The aggregations.
const (
	Linear              Aggregation = "linear"
	WeightedExponential Aggregation = "weighted-exponential" // newer samples weigh more
)

// Class is the only autoscaler class served here.
const Class = "kpa.autoscaling.knative.dev"

const (
	minTarget = 0.01
	minWindow = 6 * time.Second
	maxSpan   = time.Hour
)

// Spec is what one revision asks of the autoscaler.
type Spec struct {
	Metric Metric
	// Total is how much of the metric one pod can take.
	Total float64
	// Target is how much of it one pod is meant to have: Total times the
	// target utilisation.
	Target float64

	MinScale        int32
	MaxScale        int32 // 0 is no maximum
	InitialScale    int32 // pods a new revision starts with
	ActivationScale int32 // least number of pods other than none; 0 is 1

	ScaleToZero bool
	// Retention is how long the last pod outlives the decision to remove it.
	Retention time.Duration
	// ScaleDownDelay is how long fewer pods must have been enough.
	ScaleDownDelay time.Duration
	// ActivationDeadline is how long a revision that nobody waits for may
	// try to start before its pods are taken away; 0 is for ever. The
	// revision's progress deadline decides it, so the caller sets it.
	ActivationDeadline time.Duration

	StableWindow       time.Duration
	PanicWindowPercent float64 // of StableWindow
	PanicThreshold     float64 // panic at this many times the pods there are
	MaxScaleUpRate     float64 // times the pods there are, at one decision
	MaxScaleDownRate   float64
	Aggregation        Aggregation
	// TargetBurstCapacity only colours Decision.ExcessBurst: the activator,
	// which it takes out of the road upstream, stays.
	TargetBurstCapacity float64
}

// PanicWindow is the short window, in whole seconds.
func (s Spec) PanicWindow() time.Duration {
	seconds := math.Round(s.StableWindow.Seconds() * s.PanicWindowPercent / 100)
	return time.Duration(max(1, seconds)) * time.Second
}

// Spec reads a revision's annotations over c. Both spellings of an
// annotation are taken, min-scale and minScale, and errors name the one that
// was used. ContainerConcurrency is the revision's own limit, 0 for none.
func (c Config) Spec(annotations map[string]string, containerConcurrency int64) (Spec, error) {
	s := c.base
	r := annotationReader(annotations)
	if class, ok := r.values["class"]; ok && class != Class {
		r.wrong("class", "must be "+Class)
	}
	r.oneOf("metric", (*string)(&s.Metric), string(Concurrency), string(RPS))
	r.oneOf("metric-aggregation-algorithm", (*string)(&s.Aggregation), string(Linear), string(WeightedExponential))
	r.shared(&s)
	r.whole("min-scale", &s.MinScale, 0)
	r.whole("max-scale", &s.MaxScale, 0)
	r.whole("initial-scale", &s.InitialScale, 0)
	r.whole("activation-scale", &s.ActivationScale, 2)
	r.span("window", &s.StableWindow, minWindow, maxSpan)
	c.target(r, &s, containerConcurrency)
	c.bounds(r, s)
	return s, r.err()
}

// target says how much one pod can take and how much of that to aim at.
func (c Config) target(r *reader, s *Spec, containerConcurrency int64) {
	share := c.concurrencyShare
	limit := math.Inf(1)
	switch {
	case s.Metric == RPS:
		s.Total, share = c.rpsTarget, rpsShare
	case containerConcurrency > 0:
		limit = float64(containerConcurrency)
		s.Total = limit
	default:
		s.Total = c.concurrencyTarget
	}
	r.number("target", &s.Total, minTarget, math.MaxFloat64)
	s.Total = min(s.Total, limit)
	r.percent("target-utilization-percentage", &share, 1, 100)
	s.Target = max(minTarget, s.Total*share)
}

func (c Config) bounds(r *reader, s Spec) {
	if s.InitialScale == 0 && !c.allowZeroInitial {
		r.wrong("initial-scale", "must be at least 1 unless config-autoscaler has allow-zero-initial-scale")
	}
	if limit := c.maxScaleLimit; limit > 0 && (s.MaxScale == 0 || s.MaxScale > limit) {
		r.wrong("max-scale", fmt.Sprintf("must be from 1 to config-autoscaler's max-scale-limit, %d", limit))
	}
	if s.MaxScale > 0 && s.MinScale > s.MaxScale {
		r.wrong("min-scale", fmt.Sprintf("must be at most max-scale, %d", s.MaxScale))
	}
}

// shared reads the keys that the ConfigMap and the annotations have alike.
func (r *reader) shared(s *Spec) {
	r.span("scale-down-delay", &s.ScaleDownDelay, 0, maxSpan)
	r.span("scale-to-zero-pod-retention-period", &s.Retention, 0, maxSpan)
	r.number("panic-window-percentage", &s.PanicWindowPercent, 1, 100)
	r.percent("panic-threshold-percentage", &s.PanicThreshold, 110, 1000)
	r.burst("target-burst-capacity", &s.TargetBurstCapacity)
}

// annotationReader reads annotations by their kebab-case names without the
// prefix.
func annotationReader(annotations map[string]string) *reader {
	r := &reader{values: make(map[string]string), spelled: make(map[string]string)}
	for key, value := range annotations {
		given, ok := strings.CutPrefix(key, servingv1.AutoscalingPrefix)
		if !ok {
			continue
		}
		name := kebab(given)
		if _, taken := r.values[name]; taken && given != name {
			continue // both spellings are there: the current one counts
		}
		r.values[name], r.spelled[name] = value, key
	}
	return r
}

func kebab(camel string) string {
	var b strings.Builder
	for _, c := range camel {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('-')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
