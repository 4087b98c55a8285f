package documented_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a test in docs/cases.md: its folder, and its function.
var named = regexp.MustCompile("`([a-z0-9/]+)\\.(Test[A-Za-z0-9]+)`")

// TestCases: the tests that docs/cases.md names are there.
func TestCases(t *testing.T) {
	page, err := os.ReadFile("../../docs/cases.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := named.FindAllStringSubmatch(string(page), -1)
	if len(tests) == 0 {
		t.Fatal("docs/cases.md names no test")
	}
	for _, test := range tests {
		if !strings.Contains(sources(t, test[1]), "func "+test[2]+"(") {
			t.Errorf("docs/cases.md names %s, which %s has not", test[2], test[1])
		}
	}
}

// sources is the text of the tests of a folder.
func sources(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(content)
	}
	return all.String()
}
