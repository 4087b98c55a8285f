package helm

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"helm.sh/helm/v3/pkg/postrender"
	yamlstream "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// adjuster is the post-renderer that does adjust to every object, nil where
// there is nothing to do.
func adjuster(adjust func(map[string]any) error) postrender.PostRenderer {
	if adjust == nil {
		return nil
	}
	return adjustment(adjust)
}

type adjustment func(object map[string]any) error

// Run adjusts the objects of a stream of YAML documents.
func (a adjustment) Run(rendered *bytes.Buffer) (*bytes.Buffer, error) {
	adjusted := new(bytes.Buffer)
	for documents := yamlstream.NewYAMLReader(bufio.NewReader(rendered)); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return adjusted, nil
		}
		if err != nil {
			return nil, fmt.Errorf("splitting what was rendered: %w", err)
		}
		if err := a.one(document, adjusted); err != nil {
			return nil, err
		}
	}
}

func (a adjustment) one(document []byte, to *bytes.Buffer) error {
	var object map[string]any
	if err := yaml.Unmarshal(document, &object); err != nil {
		return fmt.Errorf("reading a rendered object: %w", err)
	}
	if len(object) == 0 {
		return nil // comments alone
	}
	if err := a(object); err != nil {
		return fmt.Errorf("adjusting a rendered object: %w", err)
	}
	document, err := yaml.Marshal(object)
	if err != nil {
		return fmt.Errorf("writing an adjusted object: %w", err)
	}
	to.WriteString("---\n")
	to.Write(document)
	return nil
}
