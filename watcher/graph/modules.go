package graph

import (
	"os"
	"path/filepath"
)

// localModules are the modules a developer edits, by folder: the main ones
// and those that a replace directive points to on this machine.
func (l Listing) localModules() map[string]string {
	modules := map[string]string{}
	for _, p := range l.Packages {
		switch m := p.Module; {
		case m == nil || m.Dir == "":
		case m.Main, m.Replace != nil && m.Replace.Version == "":
			modules[resolve(m.Dir)] = m.Path
		}
	}
	return modules
}

// vendor is the vendor folder of the workspace, which is in none of its
// modules; empty without a workspace.
func (l Listing) vendor() string {
	if l.Workspace == "" {
		return ""
	}
	return filepath.Join(resolve(filepath.Dir(l.Workspace)), "vendor")
}

// addModules takes in all files by which the go command decides which module
// a package comes from, whether they are there or not: each changes what is
// built by coming or going.
func (g *Graph) addModules(modules map[string]string, l Listing) {
	for dir, module := range modules {
		g.addFile(filepath.Join(dir, "go.mod"), Modules, "the module "+module)
		g.addFile(filepath.Join(dir, "go.sum"), Modules, "the module "+module)
		g.addFile(filepath.Join(dir, "vendor", "modules.txt"), Modules, "the vendored modules of "+module)
	}
	for dir := range g.packages {
		if root := rootOf(dir, modules); root != "" && !within(filepath.Join(root, "vendor"), dir) {
			for ; dir != root; dir = filepath.Dir(dir) {
				g.addFile(filepath.Join(dir, "go.mod"), Modules, "a module of its own")
			}
		}
	}
	if !l.Apart {
		for dir := g.target.Dir; ; dir = filepath.Dir(dir) {
			g.addFile(filepath.Join(dir, "go.work"), Modules, "the workspace")
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	if l.Workspace != "" {
		g.addFile(l.Workspace, Modules, "the workspace")
		g.addFile(l.Workspace+".sum", Modules, "the workspace")
		g.addFile(filepath.Join(l.vendor(), "modules.txt"), Modules, "the vendored modules of the workspace")
	}
	g.addFile(l.Settings, Modules, "what `go env -w` has set")
}

// rootOf is the innermost of the modules that a folder lies in; empty if it
// lies in none.
func rootOf(dir string, modules map[string]string) string {
	for {
		if _, ok := modules[dir]; ok {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// moduleRoot is the nearest folder from dir upwards with a go.mod, and empty
// if there is none.
func moduleRoot(dir string) string {
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// resolve is a path without links, as far as it is there.
func resolve(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		return real
	}
	if dir := filepath.Dir(path); dir != path {
		return filepath.Join(resolve(dir), filepath.Base(path))
	}
	return path
}
