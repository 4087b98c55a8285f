package v1

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Decode reads the one Service of a service.yaml. It is as strict as the API
// server and kinder: every mistake is named with its file, line and field.
// The image of the container that takes the requests may be absent, since it
// may be still to build. The Service is returned as it was written, without
// defaults, so that applying it claims no more than its author wrote.
func Decode(file string, data []byte) (*Service, error) {
	doc, err := onlyDocument(file, data)
	if err != nil {
		return nil, err
	}
	at := func(errs field.ErrorList) error {
		var all []error
		for _, e := range errs {
			all = append(all, fmt.Errorf("%s:%d: %w", file, lineOf(doc, e.Field), e))
		}
		return errors.Join(all...)
	}
	if err := at(validateType(doc)); err != nil {
		return nil, err
	}
	s := &Service{}
	if err := decodeStrictly(data, s); err != nil {
		return nil, placed(file, doc, err)
	}
	return s, at(s.validateFile())
}

// onlyDocument is the file's root node. Anything but one document is refused,
// because what would become of the others is not plain to see.
func onlyDocument(file string, data []byte) (*yaml.Node, error) {
	var root *yaml.Node
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var n yaml.Node
		switch err := d.Decode(&n); {
		case errors.Is(err, io.EOF):
			if root == nil {
				return nil, fmt.Errorf("%s: is empty: it must hold a %s Service", file, GroupVersion)
			}
			return root, nil
		case err != nil:
			return nil, fmt.Errorf("%s: is not YAML: %w", file, err)
		}
		switch doc := n.Content[0]; {
		case doc.Tag == "!!null":
		case doc.Kind != yaml.MappingNode:
			return nil, fmt.Errorf("%s:%d: must be a mapping with apiVersion, kind, metadata and spec", file, doc.Line)
		case root != nil:
			return nil, fmt.Errorf("%s:%d: a second document: the file must hold one Service and nothing else; apply other objects with kubectl", file, doc.Line)
		default:
			root = doc
		}
	}
}

// validateType asks for our Service.
func validateType(doc *yaml.Node) field.ErrorList {
	var errs field.ErrorList
	for _, want := range []struct{ key, value string }{{"apiVersion", GroupVersion.String()}, {"kind", "Service"}} {
		path := field.NewPath(want.key)
		switch n := child(doc, want.key); {
		case n == nil:
			errs = append(errs, field.Required(path, "must be "+want.value))
		case n.Value != want.value:
			errs = append(errs, field.NotSupported(path, n.Value, []string{want.value}))
		}
	}
	return errs
}

// decodeStrictly refuses unknown and repeated fields.
func decodeStrictly(data []byte, into *Service) error {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		return err
	}
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
	_, _, err := decoder.Decode(data, nil, into)
	return err
}

// placed names the file and, where the error names a field, its line.
func placed(file string, doc *yaml.Node, err error) error {
	strict, ok := runtime.AsStrictDecodingError(err)
	if !ok {
		return fmt.Errorf("%s: %w", file, err)
	}
	var all []error
	for _, e := range strict.Errors() {
		var path string
		if _, scanErr := fmt.Sscanf(e.Error(), "unknown field %q", &path); scanErr == nil {
			e = fmt.Errorf("%s:%d: %s: unknown field", file, lineOf(doc, path), path)
		} else {
			e = fmt.Errorf("%s: %w", file, e)
		}
		all = append(all, e)
	}
	return errors.Join(all...)
}

// validateFile is Validate for an object that a file must name, and whose
// image may be still to build.
func (s *Service) validateFile() field.ErrorList {
	if s.Name == "" {
		return field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name the service")}
	}
	var errs field.ErrorList
	if s.Namespace != "" {
		errs = invalid(field.NewPath("metadata", "namespace"), s.Namespace, validation.IsDNS1123Label(s.Namespace))
	}
	built := s.DeepCopy()
	if c := built.Spec.Template.Spec.ServingContainer(); c != nil && c.Image == "" {
		c.Image = "to-be-built"
	}
	return append(errs, built.Validate()...)
}
