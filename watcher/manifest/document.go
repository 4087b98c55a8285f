package manifest

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Document is a document of a file as it is written, by its number, with the
// comments in it.
func Document(file string, number int) (*yaml.Node, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading a manifest: %w", err)
	}
	for _, doc := range split(data) {
		if doc.number != number {
			continue
		}
		var node yaml.Node
		if err := yaml.Unmarshal(doc.text, &node); err != nil {
			return nil, fmt.Errorf("reading %s: %w", file, err)
		}
		return &node, nil
	}
	return nil, fmt.Errorf("%s has no document %d any more", file, number)
}

// Release puts an image into the place of every string of a document that names
// a program, as ko does, be it of a container or not.
func Release(node *yaml.Node, image func(importPath string) (string, error)) error {
	if program, ok := strings.CutPrefix(strings.TrimSpace(node.Value), scheme); ok && node.Kind == yaml.ScalarNode {
		ref, err := image(program)
		if err != nil {
			return err
		}
		node.Value = ref
	}
	for _, below := range node.Content {
		if err := Release(below, image); err != nil {
			return err
		}
	}
	return nil
}

// SetImage names the image of a container of a Service's document, by its place
// among its containers, from 0.
func SetImage(document *yaml.Node, container int, image string) {
	at := document
	if at.Kind == yaml.DocumentNode && len(at.Content) > 0 {
		at = at.Content[0]
	}
	for _, step := range []string{"spec", "template", "spec", "containers"} {
		if _, at = entry(at, step); at == nil {
			return
		}
	}
	if container >= len(at.Content) {
		return
	}
	at = at.Content[container]
	if _, value := entry(at, "image"); value != nil {
		value.SetString(image)
		return
	}
	key, value := &yaml.Node{}, &yaml.Node{}
	key.SetString("image")
	value.SetString(image)
	at.Content = append(at.Content, key, value)
}
