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
		for _, other := range slices.Sorted(maps.Keys(d.Selectors)) {
			if maps.Equal(d.Selectors[other], value.Selector) {
				wrong = append(wrong, fmt.Errorf("%s: has the selector of %s, %s: a route has one domain, so let one go or say which routes are for it", name, other, labels(value.Selector)))
				break
			}
		}
		d.Selectors[name] = value.Selector
	}
	if len(wrong) > told {
		wrong = append(wrong[:told], fmt.Errorf("and %d more", len(wrong)-told))
	}
	return d, errors.Join(wrong...)
}

// labels is a selector in words.
func labels(selector map[string]string) string {
	if len(selector) == 0 {
		return "which is every route's"
	}
	var words []string
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		words = append(words, key+"="+selector[key])
	}
	return strings.Join(words, ",")
}

// Of is the domain of a route with these labels: of those whose selector it
// matches the one with the most labels, and of those the first in the alphabet. An
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
