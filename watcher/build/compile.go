package build

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// CompileError says that a main package does not build, in the go command's
// words.
type CompileError struct {
	// Target is the import path of the main package.
	Target string
	// Output is all the go command said, with paths as in Diagnostics.
	Output string
	// Diagnostics are the places it named, in its order. It is empty when it
	// named none, as when a module is missing.
	Diagnostics []Diagnostic
}

// ImageError says that a main package has no image for another reason than
// its source.
type ImageError struct {
	Target string // the import path
	Err    error
}

func (e *ImageError) Error() string { return fmt.Sprintf("building %s: %v", e.Target, e.Err) }
func (e *ImageError) Unwrap() error { return e.Err }

// Diagnostic is one complaint about one place.
type Diagnostic struct {
	File string // as seen from the Builder's WorkDir, where that is shorter
	Line int
	Col  int // 0 where the go command gives none
	Text string
}

// String is the diagnostic as the go command writes it.
func (d Diagnostic) String() string {
	return place(d.File, d.Line, d.Col) + ": " + d.Text
}

// Error is the go command's output.
func (e *CompileError) Error() string {
	return fmt.Sprintf("%s does not compile:\n%s", e.Target, e.Output)
}

// diagnostic is "file:line:col: text" or "file:line: text".
var diagnostic = regexp.MustCompile(`^(.+?\.(?:go|mod|work|s|S|sum)):(\d+)(?::(\d+))?: (.*)$`)

// newCompileError reads the output of a go command that ran in dir.
func newCompileError(target, dir, workDir, output string) *CompileError {
	e := &CompileError{Target: target}
	var out []string
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		m := diagnostic.FindStringSubmatch(line)
		switch {
		case m != nil:
			d := Diagnostic{File: relative(workDir, absolute(dir, m[1])), Text: m[4]}
			d.Line, _ = strconv.Atoi(m[2])
			d.Col, _ = strconv.Atoi(m[3])
			e.Diagnostics = append(e.Diagnostics, d)
			line = d.String()
		case strings.HasPrefix(line, "# "): // "# import/path" heads its package's lines
			continue
		case strings.HasPrefix(line, "\t") && len(e.Diagnostics) > 0:
			last := &e.Diagnostics[len(e.Diagnostics)-1]
			last.Text += "\n" + line
		}
		out = append(out, line)
	}
	e.Output = cmp.Or(strings.TrimSpace(strings.Join(out, "\n")), "the go command failed without a word")
	return e
}

func place(file string, line, col int) string {
	if col == 0 {
		return fmt.Sprintf("%s:%d", file, line)
	}
	return fmt.Sprintf("%s:%d:%d", file, line, col)
}

// relative is path as seen from dir where that is shorter, which is the go
// command's rule too.
func relative(dir, path string) string {
	if dir == "" {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
