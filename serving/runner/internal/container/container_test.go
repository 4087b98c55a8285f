package container

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// early are the packages that are initialized before all but a few others.
// To add one, look at GODEBUG=inittrace=1 of a program with kube-apiserver in
// it that is started as a container.
var early = []string{"encoding/json", "errors", "fmt", "io", "os", "path", "strconv", "strings", "syscall", "unsafe"}

func TestImportsAreInitializedEarly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if path, err := strconv.Unquote(spec.Path.Value); err != nil || !slices.Contains(early, path) {
				t.Errorf("%s imports %s, which would hold up every start", name, spec.Path.Value)
			}
		}
	}
}
