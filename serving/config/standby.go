package config

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Standby is config-devbox: the pods that stand by.
type Standby struct {
	// Pods is for how many services one is kept; 0 is none at all.
	Pods int
	// Life is how long one is kept for a service that is neither edited nor
	// called.
	Life time.Duration
}

// The keys of config-devbox.
const (
	standbyPods = "standby-pods"
	standbyLife = "standby-life"
)

// mostStandbyPods is more than anybody works on at once, and few enough for a
// small machine.
const mostStandbyPods = 10

// ParseStandby reads the data of config-devbox. Its errors name the key.
func ParseStandby(data map[string]string) (Standby, error) {
	s := Standby{Pods: 1, Life: 15 * time.Minute}
	var wrong []error
	if text, ok := data[standbyPods]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > mostStandbyPods {
			wrong = append(wrong, fmt.Errorf("%s: %q must be a whole number from 0 to %d", standbyPods, text, mostStandbyPods))
		}
		s.Pods = n
	}
	if text, ok := data[standbyLife]; ok {
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Second {
			wrong = append(wrong, fmt.Errorf("%s: %q must be a duration of at least 1s, such as 15m", standbyLife, text))
		}
		s.Life = d
	}
	return s, errors.Join(wrong...)
}
