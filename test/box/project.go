package box

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Project copies a main package of the examples into a module of its own,
// which the test may edit, and returns its directory.
func Project(t testing.TB, example string) string {
	t.Helper()
	return Program(t, filepath.Join("../../examples", example))
}

// Program does the same with the main package in a directory of the test's.
func Program(t testing.TB, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), filepath.Base(from))
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	tests, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tests {
		if err := os.Remove(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil { // else it is a module of its own
		Write(t, filepath.Join(dir, "go.mod"), "module example.com/"+filepath.Base(from)+"\n\ngo 1.26\n")
	}
	return dir
}

// Write saves a file as an editor does: to a temporary file beside it, which
// is then renamed.
func Write(t testing.TB, path, content string) {
	t.Helper()
	tmp := path + "~"
	if err := os.WriteFile(tmp, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

// Edit replaces old, which must be there, by new in a file.
func Edit(t testing.TB, path, old, replacement string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), old) {
		t.Fatalf("%s does not contain %q", path, old)
	}
	Write(t, path, strings.Replace(string(content), old, replacement, 1))
}
