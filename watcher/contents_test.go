package watcher

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func save(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOnlyContentsCount(t *testing.T) {
	main := filepath.Join(t.TempDir(), "main.go")
	c := newContents()
	const first = "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println() }\n"
	for _, step := range []struct {
		what    string
		content string
		want    []edit
	}{
		{"not there", "", nil},
		{"made", first, []edit{{file: main, new: true, reshaped: true}}},
		{"touched", first, nil},
		{"edited", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Print() }\n", []edit{{file: main, line: 5}}},
		{"a line more", "package main\n\nimport \"fmt\"\n\n// main\nfunc main() { fmt.Print() }\n", []edit{{file: main, line: 5}}},
		{"an import more", "package main\n\nimport (\n\t\"fmt\"\n\t_ \"net\"\n)\n", []edit{{file: main, line: 3, reshaped: true}}},
		{"imports in another order", "package main\n\nimport (\n\t_ \"net\"\n\t\"fmt\"\n)\n", []edit{{file: main, line: 4}}},
		{"constrained", "//go:build linux\npackage main\n\nimport (\n\t_ \"net\"\n\t\"fmt\"\n)\n", []edit{{file: main, line: 1, reshaped: true}}},
		{"broken", "pack", []edit{{file: main, line: 1, reshaped: true}}},
		{"gone", "", []edit{{file: main, reshaped: true}}},
		{"still gone", "", nil},
	} {
		if step.content == "" {
			_ = os.Remove(main)
		} else {
			save(t, main, step.content)
		}
		got := c.update([]string{main})
		if len(got) != len(step.want) || len(got) == 1 && got[0] != step.want[0] {
			t.Errorf("%s: %+v, want %+v", step.what, got, step.want)
		}
	}
}

func TestLearn(t *testing.T) {
	dir := t.TempDir()
	known, unknown := save(t, filepath.Join(dir, "known.go"), "a"), save(t, filepath.Join(dir, "unknown.go"), "b")
	c := newContents()
	c.update([]string{known})
	save(t, known, "changed")
	c.learn([]string{known, unknown, filepath.Join(dir, "absent.go")})
	if edits := c.update([]string{known, unknown}); len(edits) != 1 || edits[0].file != known {
		t.Errorf("changed since: %v, want only %s", edits, known)
	}
}

func TestMissed(t *testing.T) {
	dir := t.TempDir()
	began := time.Now()
	older, newer, known := save(t, filepath.Join(dir, "older.go"), "a"), save(t, filepath.Join(dir, "newer.go"), "b"), save(t, filepath.Join(dir, "known.go"), "c")
	for file, at := range map[string]time.Time{older: began.Add(-time.Second), newer: began.Add(time.Second), known: began.Add(time.Second)} {
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	l := &loop{contents: newContents()}
	l.contents.update([]string{known})
	files := []string{older, newer, known, filepath.Join(dir, "absent.go")}
	if got := l.missed(files, began, false); len(got) != 1 || got[0].file != newer {
		t.Errorf("missed: %v, want %s", got, newer)
	}
	if got := l.missed(files, began, true); len(got) != 2 {
		t.Errorf("missed by one that was never watched: %v, want the known one too", got)
	}
}
