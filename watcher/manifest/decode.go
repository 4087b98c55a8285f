package manifest

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"
	kyaml "sigs.k8s.io/yaml"
)

// document is a part of a file between two lines of ---.
type document struct {
	text   []byte
	number int // from 1
	line   int // the number of its first line
}

// split cuts a file into documents. YAML lets nothing else begin a line with
// ---, so a document that is no YAML does not hide those after it.
func split(data []byte) []document {
	docs := []document{{number: 1, line: 1}}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		last := &docs[len(docs)-1]
		if bytes.HasPrefix(line, []byte("---")) && (len(line) == 3 || strings.ContainsRune(" \t\r\n", rune(line[3]))) {
			rest := line[3:]
			if len(bytes.TrimSpace(last.text)) == 0 {
				*last = document{number: last.number, line: n, text: rest}
			} else {
				docs = append(docs, document{number: last.number + 1, line: n, text: rest})
			}
			continue
		}
		last.text = append(last.text, line...)
	}
	return docs
}

// decode reads the documents of a file.
func decode(file string, data []byte) Set {
	var s Set
	for _, doc := range split(data) {
		content, root, err := doc.decode()
		switch {
		case err != nil:
			s.unreadable(file, doc, err)
		case content != nil:
			s.take(Object{
				Unstructured: &unstructured.Unstructured{Object: content}, File: file, Document: doc.number, Line: doc.line + root.Line - 1,
			}, root)
		}
	}
	return s
}

// decode is the document's content, nil if there is none, and its node, whose
// lines are those of the document's text.
func (d document) decode() (content map[string]any, root *yaml.Node, err error) {
	var node yaml.Node
	if err := yaml.Unmarshal(d.text, &node); err != nil {
		return nil, nil, err
	}
	if node.Kind == 0 || node.Content[0].Tag == "!!null" {
		return nil, nil, nil
	}
	root = node.Content[0]
	if root.Kind != yaml.MappingNode {
		return map[string]any{}, root, nil // of something else's: a list of hosts, say
	}
	// YAML keeps the last of two equal keys; nobody means that.
	var repeated *yaml.TypeError
	if err := node.Decode(&map[string]any{}); errors.As(err, &repeated) {
		return nil, nil, errors.New(repeated.Errors[0])
	}
	// Kubernetes reads YAML as JSON, whose numbers are whole where they can be.
	data, err := kyaml.YAMLToJSON(d.text)
	if err == nil {
		_, err = kjson.UnmarshalStrict(data, &content)
	}
	return content, root, err
}

// yamlLine is where go-yaml says in which line of its input the fault is.
var yamlLine = regexp.MustCompile(`line (\d+): `)

// templated is how Helm's and others' templates betray themselves, apiVersion
// how a manifest does.
var (
	templated  = regexp.MustCompile(`\{\{.*\}\}`)
	apiVersion = regexp.MustCompile(`(?m)^"?\s*"?apiVersion"?:`)
)

// unreadable files what is no YAML: as a template, as somebody else's file,
// or as a mistake.
func (s *Set) unreadable(file string, doc document, err error) {
	switch {
	case templated.Match(doc.text):
		s.LeftOut = append(s.LeftOut, LeftOut{File: file, Why: "it is a template, which devbox does not fill in", unread: true})
		return
	case !apiVersion.Match(doc.text):
		s.LeftOut = append(s.LeftOut, LeftOut{File: file, Why: "it is no Kubernetes object: it cannot be read, and no line of it begins with apiVersion", unread: true})
		return
	}
	p := Problem{File: file, Document: doc.number, Line: doc.line}
	words := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatchIndex(words); m != nil {
		at, _ := strconv.Atoi(words[m[2]:m[3]])
		p.Line, words = doc.line+at-1, words[:m[0]]+words[m[1]:]
	}
	p.Words = "it is no YAML: " + words
	s.Problems = append(s.Problems, p)
}

// take files a document that can be read: as an object, as several, as
// something that no cluster takes, or as a mistake. node is what it was read
// from.
func (s *Set) take(o Object, node *yaml.Node) {
	if why := foreign(o); why != "" {
		s.LeftOut = append(s.LeftOut, LeftOut{File: o.File, Why: why})
		return
	}
	if items, ok := o.Object["items"].([]any); ok && strings.HasSuffix(o.GetKind(), "List") {
		s.takeItems(o, items, node)
		return
	}
	problem := func(format string, args ...any) {
		s.Problems = append(s.Problems, Problem{File: o.File, Document: o.Document, Line: o.Line, Words: fmt.Sprintf(format, args...)})
	}
	_, err := schema.ParseGroupVersion(o.GetAPIVersion())
	switch {
	case err != nil:
		problem("apiVersion: %s", err)
	case o.GetName() == "" && o.GetGenerateName() != "":
		problem("metadata.name: generateName would make another %s at each save: name it", o.GetKind())
	case o.GetName() == "":
		problem("metadata.name: name the %s", o.GetKind())
	case IsService(&o) && revisionName(o) != "":
		o.Line += lineOf(node, "spec", "template", "metadata", "name") - node.Line
		problem("spec.template.metadata.name: each save makes another revision, which needs a name of its own: leave it out")
	default:
		s.Objects = append(s.Objects, o)
	}
}

// revisionName is the name that a Service gives its revision.
func revisionName(o Object) string {
	name, _, _ := unstructured.NestedString(o.Object, "spec", "template", "metadata", "name")
	return name
}

// takeItems files the items of a list. Those of a ConfigMapList and its like
// need not say that they are ConfigMaps.
func (s *Set) takeItems(list Object, items []any, node *yaml.Node) {
	written := itemsOf(node)
	for i, item := range items {
		content, ok := item.(map[string]any)
		if !ok {
			continue
		}
		one, at := list, node
		one.Unstructured = &unstructured.Unstructured{Object: content}
		if kind := strings.TrimSuffix(list.GetKind(), "List"); kind != "" && one.GetKind() == "" && one.GetAPIVersion() == "" {
			one.SetKind(kind)
			one.SetAPIVersion(list.GetAPIVersion())
		}
		if i < len(written) {
			at = written[i]
			one.Line = list.Line + at.Line - node.Line
		}
		s.take(one, at)
	}
}

// itemsOf are the nodes of a list's items.
func itemsOf(list *yaml.Node) []*yaml.Node {
	if _, items := entry(list, "items"); items != nil {
		return items.Content
	}
	return nil
}

// lineOf is the line of a field of a mapping, or of the last of its path that
// is written out.
func lineOf(in *yaml.Node, path ...string) int {
	line := in.Line
	for _, name := range path {
		key, value := entry(in, name)
		if key == nil {
			break
		}
		line, in = key.Line, value
	}
	return line
}

// entry is the key and the value of a field of a mapping, nil where it has none.
func entry(in *yaml.Node, name string) (key, value *yaml.Node) {
	for i := 0; in.Kind == yaml.MappingNode && i+1 < len(in.Content); i += 2 {
		if in.Content[i].Value == name {
			return in.Content[i], in.Content[i+1]
		}
	}
	return nil, nil
}

// WithoutOthers is a file's data without the documents that are objects of
// other API groups than the serving stack's: blank lines are in their place,
// so that all others keep their numbers. others says whether there were any.
func WithoutOthers(file string, data []byte) (kept []byte, others bool) {
	at := 1
	for _, doc := range split(data) {
		for ; at < doc.line; at++ {
			kept = append(kept, '\n') // the lines before ---
		}
		text := doc.text
		if set := decode(file, append([]byte("\n"), text...)); len(set.Objects) > 0 && !serving(set.Objects[0]) {
			text, others = bytes.Repeat([]byte("\n"), bytes.Count(text, []byte("\n"))), true
		} else if doc.number > 1 {
			text = append([]byte("---"), text...)
		}
		kept = append(kept, text...)
		at = doc.line + bytes.Count(doc.text, []byte("\n"))
	}
	return kept, others
}

// serving says whether an object is of the serving stack's group, in whatever
// version.
func serving(o Object) bool { return o.GroupVersionKind().Group == servingv1.GroupVersion.Group }
