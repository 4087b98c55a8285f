package v1

import (
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// lineOf is the line of a field path such as spec.containers[0].env[1].name
// or metadata.annotations[key]: of the field where it is written, else of the
// nearest field above it that is.
func lineOf(doc *yaml.Node, path string) int {
	line := doc.Line
	for node := doc; node != nil && path != ""; {
		var key string
		key, path = cutPath(path)
		if keyNode := keyOf(node, key); keyNode != nil {
			line = keyNode.Line
		}
		node = child(node, key)
		if node != nil && node.Kind == yaml.ScalarNode {
			line = node.Line
		}
	}
	return line
}

// cutPath cuts the first step off a field path.
func cutPath(path string) (step, rest string) {
	path = strings.TrimPrefix(path, ".")
	if in, ok := strings.CutPrefix(path, "["); ok {
		step, rest, _ = strings.Cut(in, "]")
		return step, rest
	}
	if i := strings.IndexAny(path, ".["); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// child is the value under a key of a mapping or an index of a list, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	switch n.Kind {
	case yaml.AliasNode:
		return child(n.Alias, key)
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i]
		}
	}
	return nil
}

// keyOf is the node that holds the key itself, or the item of a list.
func keyOf(n *yaml.Node, key string) *yaml.Node {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return n.Content[i]
			}
		}
		return nil
	}
	return child(n, key)
}

// tagsOf are the YAML tags of a JSON type, as encoding/json names it.
var tagsOf = map[string][]string{
	"string": {"!!str"}, "number": {"!!int", "!!float"}, "bool": {"!!bool"}, "object": {"!!map"}, "array": {"!!seq"},
}

// lineOfKind is the line of the first value of a JSON type under a path that
// leaves out the indices of lists.
func lineOfKind(n *yaml.Node, path, jsonType string) int {
	if n == nil {
		return 0
	}
	if path == "" && slices.Contains(tagsOf[strings.Fields(jsonType)[0]], n.ShortTag()) {
		return n.Line
	}
	if n.Kind == yaml.SequenceNode {
		for _, item := range n.Content {
			if line := lineOfKind(item, path, jsonType); line != 0 {
				return line
			}
		}
		return 0
	}
	if path == "" {
		return 0
	}
	key, rest := cutPath(path)
	return lineOfKind(child(n, key), rest, jsonType)
}
