package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Domains are config-domain: the last part of public hosts, and the labels of
// the routes that get it.
type Domains map[string]map[string]string

// ParseDomains reads the data of config-domain. Its errors name the key.
func ParseDomains(data map[string]string) (Domains, error) {
	d := Domains{}
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
		d[name] = value.Selector
	}
	if len(wrong) > told {
		wrong = append(wrong[:told], fmt.Errorf("and %d more", len(wrong)-told))
	}
	return d, errors.Join(wrong...)
}

// Of is the domain of a route with these labels: of those whose selector it
// matches the most specific one, and of two alike the first in the alphabet.
// Where none does, the route is of the cluster alone.
func (d Domains) Of(labels map[string]string) string {
	best, specific := servingv1.ClusterDomain, -1
	for _, name := range slices.Sorted(maps.Keys(d)) {
		if selector := d[name]; len(selector) > specific && matches(selector, labels) {
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
