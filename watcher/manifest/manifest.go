// Package manifest reads a directory of Kubernetes manifests, as it was
// written, and knows what is to be done with each object.
//
//	*.yaml *.yml *.json --Read--> Set: objects in the order to apply them,
//	                                   what was left out, what is wrong
//	Object --Programs--> the main packages that its ko:// images name
//	       --Resolve---> itself, with images instead of the names
//	Set, what was applied --Gone--> what has left the files
//
// It reads files and is pure beyond that: it asks no cluster, so it knows
// neither whether a kind is there nor whether it has namespaces.
package manifest

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Object is one object and where it was written.
type Object struct {
	*unstructured.Unstructured
	File     string // its path
	Document int    // of the file, from 1
	Line     int    // where the document begins, from 1
}

// Title names an object for people, as in "Deployment hello".
func (o Object) Title() string { return o.GetKind() + " " + o.GetName() }

// Key tells objects apart. The version is no part of it: the same object is
// read and written in any.
type Key struct {
	Group, Kind, Namespace, Name string
}

// KeyOf is the key of an object whose namespace has been filled in.
func KeyOf(o *unstructured.Unstructured) Key {
	kind := o.GroupVersionKind()
	return Key{Group: kind.Group, Kind: kind.Kind, Namespace: o.GetNamespace(), Name: o.GetName()}
}

// GroupKind is the key's kind.
func (k Key) GroupKind() schema.GroupKind { return schema.GroupKind{Group: k.Group, Kind: k.Kind} }

// String is a key for people, as in "Deployment hello".
func (k Key) String() string { return k.Kind + " " + k.Name }

// Unread are the files of which something that could be an object was not read,
// each once.
func (s *Set) Unread() []string {
	var files []string
	for _, l := range s.LeftOut {
		if l.unread && !slices.Contains(files, l.File) {
			files = append(files, l.File)
		}
	}
	for _, p := range s.Problems {
		if !slices.Contains(files, p.File) {
			files = append(files, p.File)
		}
	}
	return files
}

// Set is what a directory says.
type Set struct {
	Objects  []Object  // in the order to apply them
	LeftOut  []LeftOut // files that are no manifests
	Problems []Problem // documents that are of no use
}

// Whole says that all that could be an object was read, so that what is not
// here is not in the files either.
func (s *Set) Whole() bool {
	for _, l := range s.LeftOut {
		if l.unread {
			return false
		}
	}
	return len(s.Problems) == 0
}

// LeftOut is a file that is not for a cluster.
type LeftOut struct {
	File   string
	Why    string
	unread bool // it could be one and cannot be read
}

// Problem is what is wrong with one document.
type Problem struct {
	File     string
	Document int // from 1; 0 where it is the file as a whole
	Line     int // from 1; 0 where it is not known
	Words    string
}

// Error names the file, the line and the document.
func (p Problem) Error() string {
	at := p.File
	if p.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, p.Line)
	}
	if p.Document > 1 {
		return fmt.Sprintf("%s: document %d: %s", at, p.Document, p.Words)
	}
	return at + ": " + p.Words
}

// empty is an object of the key's kind.
func (k Key) empty() *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetGroupVersionKind(k.GroupKind().WithVersion("v1"))
	return u
}
