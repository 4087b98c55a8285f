package watcher

import (
	"bytes"
	"crypto/sha256"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxKept is the size up to which a file's lines are kept, to say which of
// them changed. Those of vendored modules are not: they are many, and few
// people edit them.
const maxKept = 1 << 20

// contents are what the watched files held when they were last read. They
// decide whether a file changed: an event or a time stamp does not.
type contents map[string]content

type content struct {
	sum   [sha256.Size]byte
	shape [sha256.Size]byte // of what makes it part of its package and of what it needs
	lines []byte            // nil where they are not kept
}

// edit is a file that differs from what it held before.
type edit struct {
	file string
	line int  // the first that differs; 0 if that is not known
	new  bool // it was not known before
	// reshaped says that the packages to list may be others now.
	reshaped bool
}

// update reads files again and says which of them changed.
func (c contents) update(files []string) []edit {
	var edits []edit
	for _, file := range files {
		before, known := c[file]
		data, err := os.ReadFile(file)
		if err != nil { // it is gone, or of no use to the compiler either
			if known {
				delete(c, file)
				edits = append(edits, edit{file: file, reshaped: true})
			}
			continue
		}
		now := newContent(file, data)
		if known && now.sum == before.sum {
			continue
		}
		c[file] = now
		edits = append(edits, edit{
			file: file, line: firstDifference(before.lines, now.lines),
			new: !known, reshaped: !known || now.shape != before.shape,
		})
	}
	return edits
}

// learn reads the files that are not known yet.
func (c contents) learn(files []string) {
	c.update(slices.DeleteFunc(slices.Clone(files), c.knows))
}

// knows says whether a file has been read.
func (c contents) knows(file string) bool {
	_, known := c[file]
	return known
}

func newContent(file string, data []byte) content {
	now := content{sum: sha256.Sum256(data)}
	if filepath.Ext(file) == ".go" {
		now.shape = shapeOf(data)
	}
	if len(data) <= maxKept && !slices.Contains(strings.Split(file, string(filepath.Separator)), "vendor") {
		now.lines = data
	}
	return now
}

// shapeOf sums up what a Go file imports, embeds and is constrained by. One
// that cannot be read that far has a shape of its own.
func shapeOf(data []byte) [sha256.Size]byte {
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
		if bytes.HasPrefix(line, []byte("//go:embed")) || bytes.HasPrefix(line, []byte("//go:build")) {
			shape = append(shape, string(line))
		}
	}
	h := sha256.New()
	for _, s := range shape {
		h.Write([]byte(s + "\x00"))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// firstDifference is the number of the first line of b that a has not.
func firstDifference(a, b []byte) int {
	if a == nil || b == nil {
		return 0
	}
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(b[:n], []byte("\n"))
}
