package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// told is how many mistakes of one ConfigMap are told of at a time.
const told = 5

// Check says what is wrong with the keys of a ConfigMap, each by its name: what
// nobody knows, what is not to be had here, and what is no text. A ConfigMap
// that is none of Knative's may hold anything.
func Check(cm *corev1.ConfigMap) error {
	keys, ours := Keys[cm.Name]
	if !ours {
		return nil
	}
	var wrong []error
	for _, name := range slices.Sorted(maps.Keys(cm.BinaryData)) {
		wrong = append(wrong, fmt.Errorf("%s: is under binaryData: write it under data, as text", name))
	}
	for _, name := range slices.Sorted(maps.Keys(cm.Data)) {
		if strings.HasPrefix(name, "_") {
			continue
		}
		if err := keys.check(cm.Name, name, cm.Data[name]); err != nil {
			wrong = append(wrong, err)
		}
	}
	if more := len(wrong) - told; more > 0 {
		wrong = append(wrong[:told], fmt.Errorf("and %d more", more))
	}
	return errors.Join(wrong...)
}

func (ks List) check(configMap, name, value string) error {
	if ks == nil {
		return nil // names of the user's own
	}
	i := slices.IndexFunc(ks, func(k Key) bool { return k.Name == name })
	switch {
	case i < 0:
		return fmt.Errorf("%s: is no key of %s", name, configMap)
	case len(ks[i].Values) > 0 && !slices.ContainsFunc(ks[i].Values, func(v string) bool { return strings.EqualFold(v, value) }):
		return fmt.Errorf("%s: %q must be %s: %s", name, value, strings.Join(quoted(ks[i].Values), " or "), ks[i].How)
	}
	return nil
}

func quoted(values []string) []string {
	var out []string
	for _, v := range values {
		if v == "" {
			v = "empty"
		}
		out = append(out, v)
	}
	return out
}
