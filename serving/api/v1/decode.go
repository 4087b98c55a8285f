package v1

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	kyaml "sigs.k8s.io/yaml"
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
	if err := decodeStrictly(file, doc, s); err != nil {
		return nil, err
	}
	if err := at(s.validateFile()); err != nil {
		return nil, err
	}
	return s, nil
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

// decodeStrictly refuses unknown and repeated fields, and values of another
// type than their field's.
func decodeStrictly(file string, doc *yaml.Node, into *Service) error {
	var repeated *yaml.TypeError
	if err := doc.Decode(&map[string]any{}); errors.As(err, &repeated) {
		return fmt.Errorf("%s:%s", file, strings.TrimPrefix(repeated.Errors[0], "line "))
	}
	data, err := yaml.Marshal(without(doc, "status"))
	if err == nil {
		data, err = kyaml.YAMLToJSON(data)
	}
	if err != nil {
		return fmt.Errorf("%s: is not YAML: %w", file, err)
	}
	unknown, err := kjson.UnmarshalStrict(data, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		path := inlined.ReplaceAllString(wrong.Field, "")
		return fmt.Errorf("%s:%d: %s: must be %s, found %s", file, lineOfKind(doc, path, wrong.Value), path, yamlType(wrong), wrong.Value)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var all []error
	for _, e := range unknown {
		if f, ok := errors.AsType[kjson.FieldError](e); ok {
			e = fmt.Errorf("%d: %s: unknown field", lineOf(doc, f.FieldPath()), f.FieldPath())
		}
		all = append(all, fmt.Errorf("%s:%w", file, e))
	}
	return errors.Join(all...)
}

// without is a mapping less one key. What another cluster wrote into an object's
// status says nothing here.
func without(doc *yaml.Node, key string) *yaml.Node {
	less := *doc
	less.Content = nil
	for i := 0; i+1 < len(doc.Content); i += 2 {
		if doc.Content[i].Value != key {
			less.Content = append(less.Content, doc.Content[i], doc.Content[i+1])
		}
	}
	return &less
}

// inlined are the embedded structs that a Go path names and a YAML path does not.
var inlined = regexp.MustCompile(`\b[A-Z]\w*\.`)

// yamlType is what a field wants, for a reader who writes YAML.
func yamlType(e *json.UnmarshalTypeError) string {
	switch e.Type.Kind() {
	case reflect.String:
		return "a string (put it in quotes)"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "a mapping"
	default:
		return "a whole number"
	}
}

// validateFile is Validate for an object that a file must name, and whose
// image may be still to build.
func (s *Service) validateFile() field.ErrorList {
	if s.Name == "" {
		return field.ErrorList{field.Required(field.NewPath("metadata", "name"), "name the service")}
	}
	var errs field.ErrorList
	if s.Spec.Template.Name != "" {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "template", "metadata", "name"),
			"each save makes another revision, which needs a name of its own: leave it out"))
	}
	if s.Namespace != "" {
		errs = invalid(field.NewPath("metadata", "namespace"), s.Namespace, validation.IsDNS1123Label(s.Namespace))
	}
	built := s.DeepCopy()
	if c := built.Spec.Template.Spec.ServingContainer(); c != nil && c.Image == "" {
		c.Image = "to-be-built"
	}
	return append(errs, built.Validate()...)
}
