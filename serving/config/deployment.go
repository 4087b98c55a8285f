package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Pods is config-deployment: what is the same for the pods of all revisions.
type Pods struct {
	// Unresolved are registries whose images are only on the node.
	Unresolved map[string]bool
	// DigestTimeout bounds one question to a registry.
	DigestTimeout time.Duration
	// ProgressDeadline is how long a first pod may take; 0 is the box's own.
	ProgressDeadline time.Duration
	// Queue is what queue-proxy asks for, and its limits.
	Queue corev1.ResourceRequirements
}

// ParseDeployment reads the data of config-deployment. Its errors name the key.
func ParseDeployment(data map[string]string) (Pods, error) {
	p := Pods{
		Unresolved:    map[string]bool{"kind.local": true, "ko.local": true, "dev.local": true, "devbox.local": true},
		DigestTimeout: 10 * time.Second,
		Queue: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("25m")}, Limits: corev1.ResourceList{},
		},
	}
	var wrong []error
	if text, ok := data["registries-skipping-tag-resolving"]; ok {
		p.Unresolved = map[string]bool{"devbox.local": true} // images that devbox has put there itself
		for registry := range strings.SplitSeq(text, ",") {
			p.Unresolved[strings.TrimSpace(registry)] = true
		}
	}
	for key, into := range map[string]*time.Duration{"digest-resolution-timeout": &p.DigestTimeout, "progress-deadline": &p.ProgressDeadline} {
		if text := data[key]; text != "" {
			d, err := time.ParseDuration(text)
			if err != nil || d < time.Second {
				wrong = append(wrong, fmt.Errorf("%s: %q must be a duration of at least 1s, such as 60s", key, text))
			}
			*into = d
		}
	}
	wrong = append(wrong, resources(data, "queue-sidecar-", p.Queue))
	return p, errors.Join(wrong...)
}

// resources reads prefix+"cpu-request" and its like.
func resources(data map[string]string, prefix string, into corev1.ResourceRequirements) error {
	var wrong []error
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
		for suffix, list := range map[string]corev1.ResourceList{"request": into.Requests, "limit": into.Limits} {
			key := prefix + string(name) + "-" + suffix
			text := data[key]
			if text == "" {
				continue
			}
			q, err := resource.ParseQuantity(text)
			if err != nil || q.Sign() < 0 {
				wrong = append(wrong, fmt.Errorf("%s: %q must be a quantity, such as 100m or 64Mi", key, text))
				continue
			}
			list[name] = q
		}
	}
	return errors.Join(wrong...)
}
