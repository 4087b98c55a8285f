package desired

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// plain is v as JSON has it.
func plain(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // a struct of Kubernetes'
	}
	var out any
	if err := json.Unmarshal(data, &out); err != nil {
		panic(err) // it was just written
	}
	return out
}

// difference says in words where two values of JSON differ first, by the path of
// the field; "" where they do not. An element of a list that has a name goes by
// it.
func difference(path string, was, is any) string {
	switch is := is.(type) {
	case map[string]any:
		if was, ok := was.(map[string]any); ok {
			return differenceOfMaps(path, was, is)
		}
	case []any:
		if was, ok := was.([]any); ok && len(was) == len(is) {
			for i := range is {
				if words := difference(path+element(i, is[i]), was[i], is[i]); words != "" {
					return words
				}
			}
			return ""
		}
	default:
		if was == is {
			return ""
		}
	}
	return fmt.Sprintf("%s is %s, and was %s", path, said(is), said(was))
}

func differenceOfMaps(path string, was, is map[string]any) string {
	names := maps.Clone(was)
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if words := difference(path+"."+name, was[name], is[name]); words != "" {
			return words
		}
	}
	return ""
}

func element(i int, v any) string {
	if fields, ok := v.(map[string]any); ok {
		if name, ok := fields["name"].(string); ok {
			return "[" + name + "]"
		}
	}
	return fmt.Sprintf("[%d]", i)
}

// saidLimit is how long a value may be in words. In bytes.
const saidLimit = 80

func said(v any) string {
	if v == nil {
		return "not set"
	}
	data, _ := json.Marshal(v) // it came from JSON
	if len(data) > saidLimit {
		return "another"
	}
	return string(data)
}
