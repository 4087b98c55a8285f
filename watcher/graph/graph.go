// Package graph knows which files a main package is made from, and so which
// main packages a changed file concerns.
//
//	go list -deps --> Listing --New--> Graph --Concerns--> yes, because ...
//
// Find and List ask the go command, and New where links lead: what is reached
// by a link is watched where it lies too. All paths are those without links.
// A Graph is never changed; when imports change, the next one replaces it.
//
// What is asked is generous where a mistake would leave old code running: a
// new file in a package's folder concerns the target, though a build
// constraint may keep it out. It is strict where nothing can be missed: tests,
// documents and the packages of other targets do not concern it.
package graph

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Kind says what a file is to a target, and so what is to be done when it
// changes.
type Kind string

const (
	Source   Kind = "source"   // compiled or embedded: build
	Modules  Kind = "modules"  // go.mod and its like: build, and list again
	Data     Kind = "data"     // kodata: build the image
	Config   Kind = "config"   // .ko.yaml: build, and list again
	Manifest Kind = "manifest" // service.yaml and its like, .env: apply, nothing to build
)

// Reason is why a file concerns a target.
type Reason struct {
	File  string
	Kind  Kind
	Words string // as in "example.com/lib, which hello imports"
}

// Target is what a Graph is made for.
type Target struct {
	Key        string // what Affected calls it
	Name       string // what its reasons call it
	Dir        string // the main package's folder
	ImportPath string
	Manifest   string // service.yaml, whether it is there or not
	Variables  string // the .env, likewise
	KoConfig   string // .ko.yaml, likewise
	// Data are the files and folders elsewhere that links in kodata lead to.
	Data []string
}

// Graph is everything that one target is made from.
type Graph struct {
	target   Target
	files    map[string]Reason // by path; Reason.File is empty
	packages map[string]string // folder of a package: its import path
	embeds   []embed
	data     []string // kodata, and what links in it lead to; none where there is no program

	manifests func(name string) bool // names of files in the target's folder that are some; may be nil
}

// New reads a target's files out of a listing.
func New(t Target, l Listing) *Graph {
	t.Dir = resolve(t.Dir)
	g := &Graph{
		target:   t,
		files:    map[string]Reason{},
		packages: map[string]string{t.Dir: t.ImportPath},
		data:     append([]string{filepath.Join(t.Dir, "kodata")}, t.Data...),
	}
	modules := l.localModules()
	if root := moduleRoot(t.Dir); len(modules) == 0 && root != "" {
		modules[root] = "of " + t.Name // the go command has not read it yet
	}
	for _, p := range l.Packages {
		g.addPackage(p, modules, l.vendor())
	}
	g.addModules(modules, l)
	g.addFile(t.Manifest, Manifest, "the manifest of "+t.Name)
	g.addFile(t.Variables, Manifest, "the variables of "+t.Name)
	g.addFile(t.KoConfig, Config, "ko's configuration")
	for _, file := range t.Data {
		g.addFile(file, Data, "data of "+t.Name)
	}
	return g
}

// OfManifests is the graph of a folder of manifests: of the files in it that
// are named so, now or later, and of those elsewhere that links in it lead to.
func OfManifests(t Target, linked []string, named func(name string) bool) *Graph {
	g := &Graph{target: t, files: map[string]Reason{}, manifests: named}
	for _, file := range linked {
		g.addFile(file, Manifest, "a manifest of "+t.Name)
	}
	return g
}

// addPackage takes in a package that the developer may edit: one of a module
// on this machine, or one in a vendor folder. The others are read-only, and
// named by go.mod.
func (g *Graph) addPackage(p Package, modules map[string]string, vendor string) {
	if p.Dir == "" {
		p.Dir = expected(p.ImportPath, modules)
	}
	if p.Dir == "" || p.Standard {
		return
	}
	p.Dir = resolve(p.Dir)
	if rootOf(p.Dir, modules) == "" && (vendor == "" || !within(vendor, p.Dir)) {
		return
	}
	g.packages[p.Dir] = p.ImportPath
	for _, f := range slices.Concat(p.GoFiles, p.CgoFiles, p.SFiles, p.HFiles, p.SysoFiles, p.CFiles, p.CXXFiles, p.IgnoredGoFiles) {
		if Compiled(f) {
			g.addFile(filepath.Join(p.Dir, f), Source, g.importer(p.ImportPath))
		}
	}
	for _, f := range p.EmbedFiles {
		g.addFile(filepath.Join(p.Dir, f), Source, "embedded by "+g.importer(p.ImportPath))
	}
	for _, pattern := range p.EmbedPatterns {
		g.embeds = append(g.embeds, newEmbed(p.Dir, p.ImportPath, pattern))
	}
}

// addFile takes in a file and, where it is a link, the one it leads to.
func (g *Graph) addFile(file string, kind Kind, words string) {
	if file == "" {
		return
	}
	g.files[file] = Reason{Kind: kind, Words: words}
	if info, err := os.Lstat(file); err == nil && info.Mode()&os.ModeSymlink != 0 {
		if real, err := filepath.EvalSymlinks(file); err == nil {
			g.files[real] = Reason{Kind: kind, Words: words}
		}
	}
}

// importer names a package and what it is to the target.
func (g *Graph) importer(importPath string) string {
	if importPath == g.target.ImportPath {
		return importPath
	}
	return fmt.Sprintf("%s, which %s imports", importPath, g.target.Name)
}

// Concerns says whether a change of file concerns the target, and why.
func (g *Graph) Concerns(file string) (Reason, bool) {
	if r, ok := g.files[file]; ok {
		r.File = file
		return r, true
	}
	dir, name := filepath.Dir(file), filepath.Base(file)
	if pkg, ok := g.packages[dir]; ok && Compiled(name) {
		return Reason{File: file, Kind: Source, Words: "new in " + g.importer(pkg)}, true
	}
	if dir == g.target.Dir && name == profile {
		return Reason{File: file, Kind: Source, Words: "the profile of " + g.target.ImportPath}, true
	}
	if g.manifests != nil && dir == g.target.Dir && g.manifests(name) {
		return Reason{File: file, Kind: Manifest, Words: "a manifest of " + g.target.Name}, true
	}
	for _, root := range g.data {
		if within(root, file) {
			return Reason{File: file, Kind: Data, Words: "data of " + g.target.Name}, true
		}
	}
	for _, e := range g.embeds {
		if e.matches(file) {
			return Reason{File: file, Kind: Source, Words: "embedded by " + g.importer(e.pkg)}, true
		}
	}
	return Reason{}, false
}

// Files are the files the target is made from now, in order. Some may not
// exist.
func (g *Graph) Files() []string {
	return slices.Sorted(maps.Keys(g.files))
}

// Watch are the folders in which something can happen that concerns the
// target: some themselves, some with what Enters lets in below them.
func (g *Graph) Watch() (dirs, trees []string) {
	set, below := map[string]bool{}, map[string]bool{}
	for dir := range g.packages {
		set[dir] = true
	}
	for file := range g.files {
		set[filepath.Dir(file)] = true
	}
	for _, e := range g.embeds {
		below[e.root()] = true
	}
	for _, root := range g.data {
		below[root] = true
	}
	if g.manifests != nil {
		set[g.target.Dir] = true
	}
	return slices.Sorted(maps.Keys(set)), slices.Sorted(maps.Keys(below))
}

// Enters says whether something in a folder below one of Watch's trees can
// concern the target.
func (g *Graph) Enters(dir string) bool {
	return slices.ContainsFunc(g.data, func(root string) bool { return within(root, dir) }) ||
		slices.ContainsFunc(g.embeds, func(e embed) bool { return e.enters(dir) })
}

// Effect is what a set of changed files means for one target.
type Effect struct {
	Target  string   // its key
	Reasons []Reason // in the order of the files
}

// Only says whether all of the reasons are of a kind.
func (e Effect) Only(kind Kind) bool {
	return !slices.ContainsFunc(e.Reasons, func(r Reason) bool { return r.Kind != kind })
}

// Affected says which targets the changed files concern, in the order of the
// graphs.
func Affected(graphs []*Graph, files []string) []Effect {
	var effects []Effect
	for _, g := range graphs {
		e := Effect{Target: g.target.Key}
		for _, f := range files {
			if r, ok := g.Concerns(f); ok {
				e.Reasons = append(e.Reasons, r)
			}
		}
		if len(e.Reasons) > 0 {
			effects = append(effects, e)
		}
	}
	return effects
}

// profile is what the go command optimizes a main package by, where one of
// this name lies beside it, unless -pgo says otherwise.
const profile = "default.pgo"

// Compiled says whether the go command may compile a file of this name.
func Compiled(name string) bool {
	if strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") || strings.HasSuffix(name, "_test.go") {
		return false
	}
	switch filepath.Ext(name) {
	case ".go", ".s", ".S", ".h", ".c", ".cc", ".cpp", ".cxx", ".syso":
		return true
	}
	return false
}

// expected is where an imported package should be that is not there: its
// author may be about to write it.
func expected(importPath string, modules map[string]string) string {
	for dir, module := range modules {
		if rest, ok := strings.CutPrefix(importPath, module+"/"); ok {
			return filepath.Join(dir, filepath.FromSlash(rest))
		}
	}
	return ""
}

// within says whether file is dir or lies below it.
func within(dir, file string) bool {
	rest, ok := strings.CutPrefix(file, dir)
	return ok && (rest == "" || rest[0] == filepath.Separator)
}
