package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/serving/settings"
)

// ParseDefaults reads the data of config-defaults: what an absent field of a
// revision means, and how much a field may ask for. Its errors name the key.
func ParseDefaults(data map[string]string) (servingv1.Defaults, error) {
	d := servingv1.KnativeDefaults()
	var wrong []error
	number := func(key string, into *int64, least int64) {
		text := data[key]
		if text == "" {
			return
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < least {
			wrong = append(wrong, fmt.Errorf("%s: %q must be a whole number from %d", key, text, least))
			return
		}
		*into = n
	}
	truth := func(key string, into *bool) {
		if text := data[key]; text != "" {
			is, err := strconv.ParseBool(text)
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %q must be true or false", key, text))
			}
			*into = is
		}
	}
	name := func(key string, into *string) {
		text := data[key]
		if text == "" {
			return
		}
		for _, message := range validation.IsDNS1123Label(text) {
			wrong = append(wrong, fmt.Errorf("%s: %q: %s", key, text, message))
		}
		*into = text
	}
	number("max-revision-timeout-seconds", &d.MaxTimeoutSeconds, 1)
	number("revision-timeout-seconds", &d.TimeoutSeconds, 1)
	number("revision-response-start-timeout-seconds", &d.ResponseStartTimeoutSeconds, 0)
	number("revision-idle-timeout-seconds", &d.IdleTimeoutSeconds, 0)
	number("container-concurrency-max-limit", &d.MaxContainerConcurrency, 1)
	number("container-concurrency", &d.ContainerConcurrency, 0)
	truth("allow-container-concurrency-zero", &d.UnlimitedConcurrency)
	if text := data["enable-service-links"]; !strings.EqualFold(text, "default") {
		truth("enable-service-links", &d.ServiceLinks)
	}
	name("container-name-template", &d.Container)
	name("init-container-name-template", &d.InitContainer)
	d.Resources = servingv1.ResourceRequirements{Requests: corev1.ResourceList{}, Limits: corev1.ResourceList{}}
	wrong = append(wrong, resources(data, "revision-", corev1.ResourceRequirements{Requests: d.Resources.Requests, Limits: d.Resources.Limits}))
	if err := errors.Join(wrong...); err != nil {
		return d, err
	}
	for _, bound := range []struct {
		key, most    string
		value, limit int64
	}{
		{"revision-timeout-seconds", "max-revision-timeout-seconds", d.TimeoutSeconds, d.MaxTimeoutSeconds},
		{"revision-response-start-timeout-seconds", "revision-timeout-seconds", d.ResponseStartTimeoutSeconds, d.TimeoutSeconds},
		{"revision-idle-timeout-seconds", "revision-timeout-seconds", d.IdleTimeoutSeconds, d.TimeoutSeconds},
		{"container-concurrency", "container-concurrency-max-limit", d.ContainerConcurrency, d.MaxContainerConcurrency},
	} {
		if bound.value > bound.limit {
			wrong = append(wrong, fmt.Errorf("%s: %d must be at most %s, %d", bound.key, bound.value, bound.most, bound.limit))
		}
	}
	if d.ContainerConcurrency == 0 && !d.UnlimitedConcurrency {
		wrong = append(wrong, errors.New("container-concurrency: must be at least 1 unless allow-container-concurrency-zero is true"))
	}
	return d, errors.Join(wrong...)
}

// InitContainers is a feature of config-features.
const InitContainers = "kubernetes.podspec-init-containers"

// features are those of config-features that may be either way.
var features = []string{InitContainers, settings.TagHeader}

// ParseFeatures reads the data of config-features. Its error names the key.
func ParseFeatures(data map[string]string) error {
	var wrong []error
	for _, name := range features {
		switch strings.ToLower(data[name]) {
		case "", "enabled", "disabled", "allowed":
		default:
			wrong = append(wrong, fmt.Errorf("%s: %q must be enabled, allowed or disabled", name, data[name]))
		}
	}
	return errors.Join(wrong...)
}
