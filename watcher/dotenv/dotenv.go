// Package dotenv gives a service in development the variables of the .env in its
// folder, as Docker Compose reads such a file.
//
//	.env --Read--> variables --Into--> the Service to apply
//
// Where several speak of one variable, the container's env in the manifest wins
// over .env, and .env over its envFrom and over the image: which is how Docker
// Compose has it with environment and env_file, and kn with --env and --env-file.
// What is in a .env goes into the Service of a box and nowhere else.
package dotenv

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/template"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
)

// Annotation is on the template of a Service that has variables of a .env: their
// names, with commas.
const Annotation = "kind-in-a-box.github.io/dotenv"

// platforms are the variables of which the box says what they are.
var platforms = []string{"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"}

// Path is the .env of a folder, whether it is there or not.
func Path(dir string) string { return filepath.Join(dir, ".env") }

// Error says what is wrong with a .env. It never has a value of it.
type Error struct {
	File  string
	Line  int // from 1; 0 where it is not known
	Words string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Words
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Words)
}

// Read reads the .env of a folder, which may not be there: a folder of that name,
// as Python's virtual environments have, is none. A mistake in it is an *Error.
func Read(dir string) (map[string]string, error) {
	info, err := os.Stat(Path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		if to, err := os.Readlink(Path(dir)); err == nil {
			return nil, &Error{File: Path(dir), Words: "it is a link to " + to + ", which is not there"}
		}
		return nil, nil
	}
	if err == nil && info.IsDir() {
		return nil, nil
	}
	if err == nil && !info.Mode().IsRegular() { // opening a named pipe would wait for who writes it
		return nil, &Error{File: Path(dir), Words: "it is no regular file"}
	}
	data, err := os.ReadFile(Path(dir))
	if err != nil {
		return nil, &Error{File: Path(dir), Words: "reading it: " + err.Error()}
	}
	// As Compose does: editors of Windows begin a file with it.
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 { // UTF-16 has one in every other byte
		return nil, &Error{File: Path(dir), Words: "it is no text in UTF-8; save it as that"}
	}
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")) // in a value of several lines too
	if line := behindQuote(data); line > 0 {
		return nil, &Error{Path(dir), line, "there is text after the closing quote"}
	}
	var asked []string // for a value that is not in the line
	variables, err := dotenv.UnmarshalBytesWithLookup(data, func(name string) (string, bool) {
		asked = append(asked, name)
		return "", false
	})
	if err != nil {
		return nil, mistake(Path(dir), data, err)
	}
	for _, name := range asked {
		if line := lineOf(data, name); line > 0 && variables[name] == "" {
			return nil, &Error{Path(dir), line, name + " has no value: nothing before it gives it one, and the shell's does not count"}
		}
	}
	return variables, nil
}

// quoted is a variable at the start of a text, and its value in quotes, as the
// library takes it.
var quoted = regexp.MustCompile(`^[^=:\n#]*[=:][\t\v\f\r \x{85}\x{A0}]*(?s:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')`)

// behindQuote is the first line with text behind a closing quote that is no
// comment, 0 where none has: the library would take it for the next variable, or
// for nothing.
func behindQuote(data []byte) int {
	for at := 0; at < len(data); {
		value := quoted.Find(data[at:])
		at += len(value)
		rest, _, _ := bytes.Cut(data[at:], []byte("\n"))
		if behind := bytes.TrimSpace(rest); value != nil && len(behind) > 0 && behind[0] != '#' {
			return 1 + bytes.Count(data[:at], []byte("\n"))
		}
		at += len(rest) + 1
	}
	return 0
}

// inLine is where the library says in which line the mistake is.
var inLine = regexp.MustCompile(`^line (\d+): `)

// open is what it says of a quote that nothing closes, and the rest of the line.
const open = "unterminated quoted value"

// mistake is the library's error without what it quotes of the file, which may be
// secret.
func mistake(file string, data []byte, err error) *Error {
	if missing, ok := errors.AsType[*template.MissingRequiredError](err); ok {
		return &Error{file, lineOf(data, missing.Variable), missing.Error()}
	}
	if wrong, ok := errors.AsType[*template.InvalidTemplateError](err); ok {
		return &Error{file, lineAt(data, wrong.Template), "a $ begins no name, and no ${NAME}; a dollar sign is written $$"}
	}
	e := &Error{File: file, Words: err.Error()}
	if m := inLine.FindStringSubmatch(e.Words); m != nil {
		e.Line, _ = strconv.Atoi(m[1])
		e.Words = strings.TrimPrefix(e.Words, m[0])
	}
	if _, quoted, found := strings.Cut(e.Words, open+" "); found {
		e.Line, e.Words = lineAt(data, quoted), open // the library's is the last line
	}
	if before, _, found := strings.Cut(e.Words, "in variable name"); found {
		e.Words = before + "in a variable's name"
	}
	return e
}

// lineAt is the last line that has a text, 0 where none has.
func lineAt(data []byte, text string) int {
	at := bytes.LastIndex(data, []byte(text))
	if at < 0 {
		return 0
	}
	return 1 + bytes.Count(data[:at], []byte("\n"))
}

// lineOf is the first line that needs the value of a variable: $NAME, ${NAME} or
// ${NAME?words}, or the name alone. ${NAME:-default} does not.
func lineOf(data []byte, name string) int {
	name = regexp.QuoteMeta(name)
	has := regexp.MustCompile(`\$` + name + `\b|\$\{` + name + `(:?\?.*)?\}|^\s*(export\s+)?` + name + `\s*$`)
	for i, line := range strings.Split(string(data), "\n") {
		if has.MatchString(line) {
			return i + 1
		}
	}
	return 0
}

// Given is what became of the variables of a .env, by their names, in order.
type Given struct {
	Names    []string // which the container has
	Manifest []string // of which the manifest says what they are
	Platform []string // of which the box does
}

// Into is a Service whose container that takes the requests has variables
// besides its own.
func Into(s *servingv1.Service, variables map[string]string) (*servingv1.Service, Given) {
	var given Given
	s = s.DeepCopy()
	c := s.Spec.Template.Spec.ServingContainer()
	if c == nil { // validation refuses it
		return s, given
	}
	own := c.Env
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		switch {
		case slices.Contains(platforms, name):
			given.Platform = append(given.Platform, name)
		case slices.ContainsFunc(own, func(v servingv1.EnvVar) bool { return v.Name == name }):
			given.Manifest = append(given.Manifest, name)
		default:
			given.Names = append(given.Names, name)
			c.Env = append(c.Env, servingv1.EnvVar{Name: name, Value: literal(variables[name])})
		}
	}
	if len(given.Names) > 0 {
		annotations := maps.Clone(s.Spec.Template.Annotations)
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[Annotation] = strings.Join(given.Names, ",")
		s.Spec.Template.Annotations = annotations
	}
	return s, given
}

// literal is a value in which Kubernetes replaces nothing.
func literal(value string) string { return strings.ReplaceAll(value, "$(", "$$(") }

// Sentence says it to people, "" where there is nothing to say.
func (g Given) Sentence() string {
	var parts []string
	for _, part := range []struct {
		names []string
		words string
	}{
		{g.Names, "gives it "},
		{g.Manifest, "the manifest's own count for "},
		{g.Platform, "the box says "},
	} {
		if len(part.names) > 0 {
			parts = append(parts, part.words+strings.Join(part.names, ", "))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return ".env " + strings.Join(parts, "; ")
}
