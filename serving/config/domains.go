package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"
)

// Domains are the last parts of public hosts.
type Domains struct {
	Selectors map[string]map[string]string // config-domain: by domain, the labels of the routes that get it
	Otherwise string                       // the box's own, which a route gets that no selector matches
}

// ParseDomains reads the data of config-domain, beside the box's own domain.
// Its errors name the key.
func ParseDomains(data map[string]string, otherwise string) (Domains, error) {
	d := Domains{map[string]map[string]string{}, otherwise}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		var value struct {
			Selector map[string]string `json:"selector"`
			Type     string            `json:"type"`
		}
		for _, text := range validation.IsDNS1123Subdomain(name) {
			wrong = append(wrong, fmt.Errorf("%s: %s", name, text))
		}
		if err := yaml.UnmarshalStrict([]byte(data[name]), &value); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: must be empty, or a selector of labels: %w", name, err))
		}
		if value.Type != "" && value.Type != "wildcard" {
			wrong = append(wrong, fmt.Errorf("%s: type: %q must be wildcard", name, value.Type))
		}
		d.Selectors[name] = value.Selector
	}
	if len(wrong) > told {
		wrong = append(wrong[:told], fmt.Errorf("and %d more", len(wrong)-told))
	}
	return d, errors.Join(wrong...)
}

// Of is the domain of a route with these labels: of those whose selector it
// matches the most specific one, and of two alike the first in the alphabet. An
// empty selector matches all, so that one line in config-domain is enough to
// take the place of the box's own domain.
func (d Domains) Of(labels map[string]string) string {
	best, specific := d.Otherwise, -1
	for _, name := range slices.Sorted(maps.Keys(d.Selectors)) {
		if selector := d.Selectors[name]; len(selector) > specific && matches(selector, labels) {
			best, specific = name, len(selector)
		}
	}
	return best
}

func matches(selector, labels map[string]string) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}
