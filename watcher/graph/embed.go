package graph

import (
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// embed is one pattern of an embed directive, by the go command's rules: it
// matches files and folders below its package, and a folder stands for all in
// it that is not hidden.
type embed struct {
	dir   string // the package's folder
	pkg   string
	steps []string // the pattern, folder by folder
	all   bool     // hidden files too
}

// unembedded are the folders that the go command never embeds, since they are
// in no module's archive.
var unembedded = []string{".bzr", ".git", ".hg", ".svn"}

func newEmbed(dir, pkg, pattern string) embed {
	pattern, all := strings.CutPrefix(pattern, "all:")
	return embed{dir: dir, pkg: pkg, steps: strings.Split(path.Clean(pattern), "/"), all: all}
}

// Embeddable are the files below a package that its patterns embed, or would
// if they matched by name alone, at most limit of them: then ok is false.
func (p Package) Embeddable(limit int) (files []string, ok bool) {
	for _, pattern := range p.EmbedPatterns {
		e := newEmbed(p.Dir, p.ImportPath, pattern)
		err := filepath.WalkDir(e.root(), func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil: // what cannot be read is embedded by nobody
				return nil
			case d.IsDir() && !e.enters(path):
				return fs.SkipDir
			case d.IsDir() || !e.matches(path):
				return nil
			case len(files) == limit:
				return fs.SkipAll
			}
			files = append(files, path)
			return nil
		})
		if err != nil || len(files) == limit {
			return nil, false
		}
	}
	return files, true
}

// root is the folder in which all that it matches lies.
func (e embed) root() string {
	root := e.dir
	for _, step := range e.steps[:len(e.steps)-1] {
		if strings.ContainsAny(step, `*?[\`) {
			break
		}
		root = filepath.Join(root, step)
	}
	return root
}

// matches says whether a file, if it is there, is embedded.
func (e embed) matches(file string) bool {
	names, ok := e.below(file)
	return ok && len(names) >= len(e.steps)
}

// enters says whether a file in a folder can be embedded.
func (e embed) enters(dir string) bool {
	_, ok := e.below(dir)
	return ok
}

// below are the steps from the package's folder to a path, and whether the
// pattern matches as far as they go.
func (e embed) below(file string) (names []string, ok bool) {
	rest, ok := strings.CutPrefix(file, strings.TrimSuffix(e.dir, string(filepath.Separator))+string(filepath.Separator))
	if !ok {
		return nil, file == e.dir
	}
	names = strings.Split(rest, string(filepath.Separator))
	for i, name := range names {
		if i < len(e.steps) {
			if ok, err := path.Match(e.steps[i], name); err != nil || !ok {
				return nil, false
			}
		} else if slices.Contains(unembedded, name) || !e.all && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")) {
			return nil, false
		}
	}
	return names, true
}
