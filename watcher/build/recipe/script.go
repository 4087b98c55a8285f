package recipe

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// script is what `go build -a -n` says it would do: one action for each
// package, and the link.
type script struct {
	compile map[string]*action // by import path
	link    *action
}

// action is one call of the compiler or the linker.
type action struct {
	env    []string // over that of the others
	tool   string
	args   []string // up to the files; where $WORK is in one, it stands for a folder of its own
	files  []string // absolute
	config string   // what -importcfg names, with packages as $WORK/b001/_pkg_.a
	embed  string   // what -embedcfg names
}

// parse reads a script of a go command that was called in dir.
//
// The text is meant for people and for a shell, so whatever is not understood
// is an error or leaves an action out, and a program is never made from a part
// of it.
func parse(r io.Reader, dir string) (*script, error) {
	s := &script{compile: map[string]*action{}}
	p := parser{script: s, root: dir, dir: dir, files: map[string]string{}}
	in := bufio.NewScanner(r)
	in.Buffer(nil, 64<<20) // a line has all files of a package, or all of a program's build information
	for in.Scan() {
		if err := p.line(in.Text(), in); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("reading what the go command would do: %w", err)
	}
	if s.link == nil {
		return nil, errors.New("the go command does not say how it links")
	}
	return s, nil
}

type parser struct {
	*script
	root, dir string
	pkg       string            // whose actions these are
	files     map[string]string // that the script writes
}

func (p *parser) line(line string, in *bufio.Scanner) error {
	if place, ok := strings.CutPrefix(line, "cat >"); ok {
		place, _, ok := strings.Cut(place, " << 'EOF'")
		if !ok {
			return fmt.Errorf("the go command writes a file in a way that is not known: %s", line)
		}
		p.files[place] = heredoc(in)
		return nil
	}
	if dir, ok := strings.CutPrefix(line, "cd "); ok {
		p.dir = absolute(p.root, dir)
		return nil
	}
	if pkg, ok := strings.CutPrefix(line, "# "); ok {
		p.pkg = pkg
		return nil
	}
	words, err := split(line)
	if err != nil {
		return err
	}
	a := &action{}
	for len(words) > 0 && strings.Contains(words[0], "=") {
		name, value, _ := strings.Cut(words[0], "=")
		a.env, words = append(a.env, name+"="+strings.Trim(value, "'")), words[1:]
	}
	if len(words) < 2 || !filepath.IsAbs(words[0]) || words[1] != "-o" {
		return nil
	}
	a.tool, a.args = words[0], words[1:]
	switch filepath.Base(a.tool) {
	case "compile":
		return p.compiles(a)
	case "link":
		p.link, a.config = a, p.files[a.value("-importcfg")]
	}
	return nil
}

// heredoc is the text of a file that the script writes, of which some do not
// end with a line's end.
func heredoc(in *bufio.Scanner) string {
	var text strings.Builder
	for in.Scan() {
		switch line := in.Text(); line {
		case "EOF":
			return text.String()
		case "}EOF": // embedcfg, which is JSON
			return text.String() + "}"
		default:
			text.WriteString(line + "\n")
		}
	}
	return text.String()
}

// compiles takes in a call of the compiler, whose files are last.
func (p *parser) compiles(a *action) error {
	end := slices.Index(a.args, "-pack")
	if end < 0 {
		return fmt.Errorf("the go command compiles %s in a way that is not known", p.pkg)
	}
	for _, file := range a.args[end+1:] {
		a.files = append(a.files, absolute(p.dir, file))
	}
	a.args = a.args[:end+1]
	a.config, a.embed = p.files[a.value("-importcfg")], p.files[a.value("-embedcfg")]
	p.compile[p.pkg] = a
	return nil
}

// value is what follows a flag.
func (a *action) value(flag string) string {
	if i := slices.Index(a.args, flag); i >= 0 && i+1 < len(a.args) {
		return a.args[i+1]
	}
	return ""
}

// last is what follows the last "-flag=" of the arguments, which counts.
func (a *action) last(flag string) string {
	value := ""
	for _, arg := range a.args {
		if v, ok := strings.CutPrefix(arg, flag); ok {
			value = v
		}
	}
	return value
}

// imports are the import paths of an action's importcfg.
func (a *action) imports() []string {
	var imports []string
	for line := range strings.Lines(a.config) {
		if path, ok := packageFile(line); ok {
			imports = append(imports, path)
		}
	}
	return imports
}

// packageFile is the import path of a line of an importcfg that names a file.
func packageFile(line string) (path string, ok bool) {
	rest, ok := strings.CutPrefix(line, "packagefile ")
	path, _, _ = strings.Cut(rest, "=")
	return path, ok
}

// configWith is an action's importcfg with the archive of each package.
func (a *action) configWith(archive func(importPath string) string) string {
	var out strings.Builder
	for line := range strings.Lines(a.config) {
		if path, ok := packageFile(line); ok {
			line = "packagefile " + path + "=" + archive(path) + "\n"
		}
		out.WriteString(line)
	}
	return out.String()
}

// with are an action's arguments with other values for some of its flags, by
// "-flag" or "-flag=".
func (a *action) with(values map[string]string) []string {
	args := slices.Clone(a.args)
	for i, arg := range args {
		if value, ok := values[arg]; ok && i+1 < len(args) {
			args[i+1] = value
		} else if flag, _, ok := strings.Cut(arg, "="); ok {
			if value, ok := values[flag+"="]; ok {
				args[i] = flag + "=" + value
			}
		}
	}
	return args
}

// trimpath is what -trimpath says, with another folder to work in.
func (a *action) trimpath(work string) string {
	return strings.ReplaceAll(a.value("-trimpath"), filepath.Dir(a.value("-o")), work)
}

// split cuts a line of the script into words, of which some are quoted as in
// Go.
func split(line string) ([]string, error) {
	var words []string
	for line = strings.TrimLeft(line, " "); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return nil, fmt.Errorf("the go command quotes in a way that is not known: %s", line)
			}
			word, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, fmt.Errorf("the go command quotes in a way that is not known: %s", line)
			}
			words, line = append(words, word), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		words, line = append(words, word), rest
	}
	return words, nil
}

func absolute(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
