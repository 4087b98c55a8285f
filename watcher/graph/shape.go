package graph

import (
	"bytes"
	"crypto/sha256"
	"go/parser"
	"go/token"
	"slices"
)

// Shape sums up what makes a Go file part of its package and what it needs:
// its package clause, its imports and its directives, as //go:embed and
// //go:build. Two files of one shape differ in bodies and declarations alone.
// One that cannot be read that far has a shape of its own.
func Shape(data []byte) [sha256.Size]byte {
	file, err := parser.ParseFile(token.NewFileSet(), "", data, parser.ImportsOnly)
	if err != nil {
		return sha256.Sum256(data)
	}
	var shape []string
	for _, imp := range file.Imports {
		shape = append(shape, imp.Path.Value)
	}
	slices.Sort(shape)
	shape = append(shape, file.Name.Name)
	for line := range bytes.Lines(data) {
		// A directive may be indented, as in a block of variables.
		line = bytes.TrimSpace(line)
		if bytes.HasPrefix(line, []byte("//go:")) || bytes.HasPrefix(line, []byte("// +build")) {
			shape = append(shape, string(line))
		}
	}
	h := sha256.New()
	for _, s := range shape {
		h.Write([]byte(s + "\x00"))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
