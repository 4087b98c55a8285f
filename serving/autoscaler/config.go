package autoscaler

import (
	"fmt"
	"math"
	"time"
)

// Config is what the whole box asks of the autoscaler: the ConfigMap
// config-autoscaler, with upstream's keys and defaults.
type Config struct {
	base              Spec // what a revision without annotations gets
	concurrencyTarget float64
	concurrencyShare  float64 // of a concurrency target to aim at
	rpsTarget         float64
	maxScaleLimit     int32
	allowZeroInitial  bool
}

// rpsShare is the share of a rate target to aim at where no annotation says.
const rpsShare = 0.7

// DefaultConfig is the Config of an empty ConfigMap.
func DefaultConfig() Config {
	return Config{
		base: Spec{
			Metric:              Concurrency,
			InitialScale:        1,
			StableWindow:        time.Minute,
			PanicWindowPercent:  10,
			PanicThreshold:      2,
			MaxScaleUpRate:      1000,
			MaxScaleDownRate:    2,
			TargetBurstCapacity: 211,
			Aggregation:         Linear,
			ScaleToZero:         true,
		},
		concurrencyTarget: 100,
		concurrencyShare:  0.7,
		rpsTarget:         200,
	}
}

// ParseConfig reads the data of config-autoscaler. Its errors name the key.
// Keys it does not know are left alone, as upstream does.
func ParseConfig(data map[string]string) (Config, error) {
	c := DefaultConfig()
	r := &reader{values: data}
	r.shared(&c.base)
	r.whole("min-scale", &c.base.MinScale, 0)
	r.whole("max-scale", &c.base.MaxScale, 0)
	r.whole("initial-scale", &c.base.InitialScale, 0)
	r.whole("max-scale-limit", &c.maxScaleLimit, 0)
	r.truth("allow-zero-initial-scale", &c.allowZeroInitial)
	r.truth("enable-scale-to-zero", &c.base.ScaleToZero)
	r.span("stable-window", &c.base.StableWindow, minWindow, maxSpan)
	r.above("max-scale-up-rate", &c.base.MaxScaleUpRate, 1)
	r.above("max-scale-down-rate", &c.base.MaxScaleDownRate, 1)
	r.number("container-concurrency-target-default", &c.concurrencyTarget, minTarget, math.MaxFloat64)
	r.number("requests-per-second-target-default", &c.rpsTarget, minTarget, math.MaxFloat64)
	r.share("container-concurrency-target-percentage", &c.concurrencyShare)
	r.ignored()

	if c.base.InitialScale == 0 && !c.allowZeroInitial {
		r.wrong("initial-scale", "must be at least 1 unless allow-zero-initial-scale is true")
	}
	if limit := c.maxScaleLimit; limit > 0 && (c.base.MaxScale == 0 || c.base.MaxScale > limit) {
		r.wrong("max-scale", fmt.Sprintf("must be from 1 to max-scale-limit, %d", limit))
	}
	return c, r.err()
}

// ignored checks the keys that mean nothing here, so that a ConfigMap is
// right or wrong in the same places as upstream: the activator never leaves
// the road, so there is no grace period to wait and no number of activators
// to choose.
func (r *reader) ignored() {
	var span time.Duration
	var number float64
	r.span("scale-to-zero-grace-period", &span, time.Second, 24*time.Hour)
	r.number("activator-capacity", &number, 1, math.MaxFloat64)
}
