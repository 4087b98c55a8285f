// Package recipe makes a program again after an edit, from what the go command
// said of its last full build: the compiler for the packages that changed, the
// linker, and nothing around them.
//
//	Take   go list -export   where each package's archive is in the build cache
//	       go build -a -n    how the compiler and the linker are called
//	         |
//	       Recipe
//	         |
//	Why    what the files hold ── anything but bodies of Go files changed: the words
//	         |
//	Make   compile what was edited, and what imports it if it sees a difference
//	       link
//
// The calls are the go command's own, word for word, so they are right for any
// flags and any version of it; what of them is not understood gives no recipe.
// A program made so is the go command's, to the byte.
//
// Nothing is remembered from edit to edit but what a Store keeps by all that it
// was made of: a program is a function of what the files hold.
package recipe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/kind-in-a-box/devbox/internal/goenv"
	"github.com/kind-in-a-box/devbox/watcher/graph"
)

// Build is how the go command builds a program.
type Build struct {
	Dir        string   // where it runs
	Flags      []string // but for -o
	Env        []string // over this process's
	ImportPath string
}

// Recipe is how a program is made, as of the files that State holds. It never
// changes.
type Recipe struct {
	store   *Store
	dir     string
	env     []string
	watched watched
	state   State

	packages []listed // those that can be edited, and what lies between them; what is imported first
	actions  *script
	archives map[string]string // by import path, in the build cache
	main     string
}

// listed is a package as `go list -export` has it.
type listed struct {
	graph.Package
	Export string
}

// unknowable are flags with which files count that are not known here.
var unknowable = []string{"-modfile", "-overlay", "-toolexec", "-pkgdir"}

// Take asks the go command for a program that it has built, in a folder to
// work in. It tries what it has learnt: there is a recipe only if that gives
// the program to the byte. The program is kept, for an edit that is taken back.
func Take(ctx context.Context, b Build, store *Store, tmp string, program []byte) (*Recipe, error) {
	b.Env = append(slices.Clone(b.Env), "GOTMPDIR="+store.dir) // a go command that is killed leaves its work folder
	r := &Recipe{store: store, dir: b.Dir, main: b.ImportPath, archives: map[string]string{}}
	settings, err := r.settings(ctx, b)
	if err != nil {
		return nil, err
	}
	if settings["CGO_ENABLED"] != "0" {
		return nil, errors.New("cgo is on")
	}
	for _, flag := range append(strings.Fields(settings["GOFLAGS"]), b.Flags...) {
		if name, _, _ := strings.Cut("-"+strings.TrimLeft(flag, "-"), "="); slices.Contains(unknowable, name) {
			return nil, fmt.Errorf("the go command is given %s", flag)
		}
	}
	r.env = slices.Concat(os.Environ(), b.Env, assignments(settings))
	// What is listed, and what the archives were made of, is what the files
	// hold before and after it.
	packages, err := list(ctx, b)
	if err != nil {
		return nil, err
	}
	r.watched.of(packages, settings)
	script, err := goCommand(ctx, b, "build", slices.Concat(b.Flags, []string{"-a", "-n", "-o", filepath.Join(store.dir, "program"), "--", b.ImportPath})...)
	if err != nil {
		return nil, err
	}
	if r.actions, err = parse(bytes.NewReader(script), b.Dir); err != nil {
		return nil, err
	}
	r.know(ctx, packages)
	if r.state, err = r.watched.look(nil); err != nil {
		return nil, err
	}
	if packages, err = list(ctx, b); err != nil {
		return nil, err
	}
	r.packages = packages
	for _, p := range packages {
		r.archives[p.ImportPath] = p.Export
	}
	if now, err := r.watched.look(r.state); err != nil || Changed(r.state, now, filepath.Base) != "" || !maps.EqualFunc(r.state, now, same) {
		return nil, errors.Join(errors.New("files changed while the go command was asked for them"), err)
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	_, _, err = store.get(ctx, r.linkKey(nil), func(path string) error {
		if err := r.try(ctx, path, tmp, program); err != nil {
			return err
		}
		return os.WriteFile(path, program, 0o700)
	})
	return r, err
}

// try compiles the main package and links, as if that had been edited, and
// says if the program is another than the go command's.
func (r *Recipe) try(ctx context.Context, path, tmp string, program []byte) error {
	ours := map[string]string{}
	if p, a := r.packages[len(r.packages)-1], r.actions.compile[r.main]; isPlain(p, a) {
		archive, _, err := r.compile(ctx, filepath.Join(tmp, "main"), a, r.state, nil)
		if err != nil {
			return err
		}
		ours[r.main] = archive
	}
	if err := r.linkTo(ctx, path, tmp, ours); err != nil {
		return err
	}
	made, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if !bytes.Equal(made, program) {
		return errors.New("compiled and linked without the go command it is another program")
	}
	return nil
}

func same(a, b file) bool { return a == b }

// settings are the go command's own variables, which it hands to its tools.
func (r *Recipe) settings(ctx context.Context, b Build) (map[string]string, error) {
	out, err := goCommand(ctx, b, "env", "-json")
	if err != nil {
		return nil, err
	}
	var settings map[string]string
	if err := json.Unmarshal(out, &settings); err != nil {
		return nil, fmt.Errorf("reading the go command's environment: %w", err)
	}
	return settings, nil
}

// assignments are the variables as an environment. GOGCCFLAGS is left out: it
// is made of the others, with a folder in it that is another each time.
func assignments(settings map[string]string) []string {
	var env []string
	delete(settings, "GOGCCFLAGS")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		env = append(env, name+"="+settings[name])
	}
	return env
}

// list asks for the packages, and has those compiled that are not.
func list(ctx context.Context, b Build) ([]listed, error) {
	const fields = "-json=ImportPath,Dir,Standard,Module,GoFiles,CgoFiles,CFiles,CXXFiles,SFiles,SysoFiles,EmbedFiles,EmbedPatterns,Export"
	out, err := goCommand(ctx, b, "list", slices.Concat(b.Flags, []string{"-export", "-deps", fields, "--", b.ImportPath})...)
	if err != nil {
		return nil, err
	}
	var packages []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		switch err := d.Decode(&p); {
		case errors.Is(err, io.EOF):
			return packages, nil
		case err != nil:
			return nil, fmt.Errorf("reading the list of packages: %w", err)
		}
		packages = append(packages, p)
	}
}

// goCommand runs the go command as a build does, and gives what it prints: a
// dry run prints where others complain.
func goCommand(ctx context.Context, b Build, verb string, args ...string) ([]byte, error) {
	cmd := goenv.Command(ctx, slices.Concat([]string{verb}, args)...)
	cmd.Dir, cmd.Env = b.Dir, slices.Concat(os.Environ(), b.Env)
	if verb != "build" {
		return goenv.Output(cmd)
	}
	var out bytes.Buffer
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("go build -n: %w: %s", err, out.String())
	}
	return out.Bytes(), nil
}

// of takes in what decides on a program: the folders of packages that may be
// edited, which are those on this machine that no module cache holds, and the
// files by which the go command chooses.
func (w *watched) of(packages []listed, settings map[string]string) {
	frame := map[string]bool{}
	add := func(files ...string) {
		for _, file := range files {
			frame[file] = true
		}
	}
	add(besides(settings["GOMOD"], "go.sum", filepath.Join("vendor", "modules.txt"))...)
	add(besides(settings["GOWORK"], "go.work.sum", filepath.Join("vendor", "modules.txt"))...)
	add(besides(settings["GOENV"])...)
	if mod := settings["GOMOD"]; settings["GOWORK"] == "" && mod != "" {
		add(above(filepath.Dir(mod), "", "go.work")...)
	}
	for _, p := range packages {
		if !editable(p, settings["GOMODCACHE"]) {
			continue
		}
		w.dirs = append(w.dirs, p.Dir)
		if p.Module != nil && p.Module.Dir != "" {
			add(above(p.Dir, p.Module.Dir, "go.mod")...)
			add(filepath.Join(p.Module.Dir, "go.sum"))
		}
		if len(p.EmbedPatterns) > 0 {
			w.embeds = append(w.embeds, p.Package)
		}
	}
	w.frame = slices.Sorted(maps.Keys(frame))
}

func editable(p listed, cache string) bool {
	rel, err := filepath.Rel(cache, p.Dir)
	return !p.Standard && p.Dir != "" && (err != nil || !filepath.IsLocal(rel))
}

// know says what of the watched files are bodies, and which programs are the
// tools.
func (r *Recipe) know(ctx context.Context, packages []listed) {
	r.watched.bodies = map[string]bool{}
	for _, p := range packages {
		if a := r.actions.compile[p.ImportPath]; slices.Contains(r.watched.dirs, p.Dir) && isPlain(p, a) {
			for _, file := range a.files {
				r.watched.bodies[file] = true
			}
		}
	}
	tools := map[string]bool{r.actions.link.tool: true}
	for _, a := range r.actions.compile {
		tools[a.tool] = true
	}
	if path, err := exec.LookPath(goenv.Command(ctx).Path); err == nil {
		tools[path] = true
	}
	r.watched.tools = slices.Sorted(maps.Keys(tools))
}

// check says what of a recipe is missing.
func (r *Recipe) check() error {
	link := r.actions.link
	if !slices.Contains(link.args, "-buildmode=exe") && !slices.Contains(link.args, "-buildmode=pie") {
		return errors.New("it is no ordinary program that is linked")
	}
	if strings.Contains(link.config, `build\tvcs`) {
		return errors.New("the program is stamped with the commit")
	}
	if len(link.imports()) == 0 {
		return errors.New("the go command does not say what it links")
	}
	for _, path := range link.imports() {
		if r.archives[path] == "" {
			return fmt.Errorf("the go command has no archive of %s", path)
		}
	}
	if link.last("-buildid=") != "" {
		return errors.New("the program has a build ID, which tells how it was made")
	}
	known := link.with(map[string]string{"-o": "", "-importcfg": ""})
	for _, arg := range known[:len(known)-1] { // the last is the main package
		if strings.Contains(arg, "$WORK") {
			return fmt.Errorf("the linker is given %s", arg)
		}
	}
	return nil
}

// Why says, in words, why the program cannot be made by the recipe, which is
// empty where it can, and what the files hold now.
func (r *Recipe) Why(show func(path string) string) (why string, now State) {
	now, err := r.watched.look(r.state)
	if err != nil {
		return err.Error(), nil
	}
	if why := Changed(r.state, now, show); why != "" {
		return why, nil
	}
	for _, path := range r.actions.link.imports() {
		if _, err := os.Stat(r.archives[path]); err != nil {
			return "the build cache has no longer an archive of " + path, nil
		}
	}
	return "", now
}

// Made is a program.
type Made struct {
	Path     string   // of the file, until its Store lets it go
	Compiled []string // the packages that were compiled for it
	Linked   bool     // it was linked for it
}

// Make makes the program of what Why said the files hold, with tmp as a folder
// to work in.
func (r *Recipe) Make(ctx context.Context, tmp string, now State) (Made, error) {
	var made Made
	ours := map[string]string{} // archives in place of those in the build cache, by import path
	seen := map[string]string{} // those of them that show a difference
	for _, p := range r.packages {
		a := r.actions.compile[p.ImportPath]
		if a == nil || !r.touched(a, now, seen) {
			continue
		}
		if !isPlain(p, a) {
			return made, fmt.Errorf("%s is not of Go files alone", p.ImportPath)
		}
		archive, compiled, err := r.compile(ctx, filepath.Join(tmp, fmt.Sprint(len(ours))), a, now, seen)
		if err != nil {
			return made, fmt.Errorf("compiling %s: %w", p.ImportPath, err)
		}
		if compiled {
			made.Compiled = append(made.Compiled, p.ImportPath)
		}
		ours[p.ImportPath] = archive
		before, err := exports(r.archives[p.ImportPath])
		if err != nil {
			return made, err
		}
		after, err := exports(archive)
		if err != nil {
			return made, err
		}
		if before != after {
			seen[p.ImportPath] = archive
		}
	}
	var err error
	made.Path, made.Linked, err = r.store.get(ctx, r.linkKey(ours), func(path string) error {
		return r.linkTo(ctx, path, tmp, ours)
	})
	return made, err
}

// touched says whether a package is another: a file of it, or what it sees of
// an import.
func (r *Recipe) touched(a *action, now State, seen map[string]string) bool {
	return slices.ContainsFunc(a.files, func(path string) bool { return now[path].sum != r.state[path].sum }) ||
		len(seen) > 0 && slices.ContainsFunc(a.imports(), func(path string) bool { return seen[path] != "" })
}

// archive is that of a package: ours, or the build cache's.
func (r *Recipe) archive(ours map[string]string) func(string) string {
	return func(importPath string) string {
		if path, ok := ours[importPath]; ok {
			return path
		}
		return r.archives[importPath]
	}
}

// compile is the archive of a package, and whether it was made just now.
func (r *Recipe) compile(ctx context.Context, tmp string, a *action, now State, seen map[string]string) (string, bool, error) {
	config := a.configWith(r.archive(seen))
	sum := sha256.New()
	fmt.Fprintf(sum, "%x\n%q\n%q\n%q\n%q\n%q\n", r.state[a.tool].sum, a.tool, r.env, a.with(map[string]string{"-o": "", "-trimpath": a.trimpath(""), "-importcfg": "", "-embedcfg": "", "-buildid": ""}), config, a.embed)
	for _, file := range a.files {
		fmt.Fprintf(sum, "%q %x\n", file, now[file].sum)
	}
	key := hex.EncodeToString(sum.Sum(nil))
	return r.store.get(ctx, "package-"+key, func(path string) error {
		if err := os.MkdirAll(tmp, 0o700); err != nil {
			return err
		}
		at := map[string]string{"-o": path, "-trimpath": a.trimpath(tmp), "-importcfg": filepath.Join(tmp, "importcfg"), "-embedcfg": filepath.Join(tmp, "embedcfg"), "-buildid": key[:20] + "/" + key[:20]}
		for file, text := range map[string]string{at["-importcfg"]: config, at["-embedcfg"]: a.embed} {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
		}
		if err := r.run(ctx, a, append(a.with(at), a.files...)); err != nil {
			return err
		}
		for _, file := range a.files {
			if read(file, true, now[file]).sum != now[file].sum {
				return fmt.Errorf("%s changed meanwhile", file)
			}
		}
		return nil
	})
}

// linkKey is what a program is kept by: all that it is linked from.
func (r *Recipe) linkKey(ours map[string]string) string {
	link, sum := r.actions.link, sha256.New()
	fmt.Fprintf(sum, "%x\n%q\n%q\n%q\n%q\n", r.state[link.tool].sum, link.tool, r.env, link.with(map[string]string{"-o": "", "-importcfg": ""}), link.configWith(r.archive(ours)))
	return "program-" + base64.RawURLEncoding.EncodeToString(sum.Sum(nil))
}

func (r *Recipe) linkTo(ctx context.Context, path, tmp string, ours map[string]string) error {
	link, config := r.actions.link, filepath.Join(tmp, "importcfg.link")
	if err := os.WriteFile(config, []byte(link.configWith(r.archive(ours))), 0o600); err != nil {
		return err
	}
	args := link.with(map[string]string{"-o": path, "-importcfg": config})
	args[len(args)-1] = r.archive(ours)(r.main)
	if err := r.run(ctx, link, args); err != nil {
		return fmt.Errorf("linking %s: %w", r.main, err)
	}
	return nil
}

func (r *Recipe) run(ctx context.Context, a *action, args []string) error {
	cmd := exec.CommandContext(ctx, a.tool, args...)
	cmd.Dir, cmd.Env = r.dir, slices.Concat(r.env, a.env)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}
