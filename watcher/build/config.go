package build

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ko "github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"

	"github.com/kind-in-a-box/devbox/watcher/build/recipe"
)

// koDefaultBase is what ko's configuration names when the user's names no
// base image.
const koDefaultBase = "cgr.dev/chainguard/static:latest"

// config is a .ko.yaml. That of a Builder has the loop's defaults for what it
// leaves open.
type config struct {
	options.BuildOptions
	root   string   // the folder of .ko.yaml, else the module's
	unused []string // what in it is of no use, for people
}

// read reads the .ko.yaml of a folder.
func read(dir string) (*config, error) {
	root, err := configRoot(dir)
	if err != nil {
		return nil, err
	}
	cfg := &config{root: root}
	cfg.WorkingDirectory = root
	cfg.BuildConfigs = map[string]ko.Config{"": {}} // which ko would read otherwise
	if err := cfg.LoadConfig(); err != nil {
		return nil, &ConfigError{koFile(root), err}
	}
	if cfg.BuildConfigs, cfg.unused, err = readBuilds(root); err != nil {
		return nil, &ConfigError{koFile(root), err}
	}
	if err := cfg.checkTemplates(); err != nil {
		return nil, &ConfigError{koFile(root), err}
	}
	return cfg, nil
}

// load is read, with the loop's defaults.
func load(dir string) (*config, error) {
	cfg, err := read(dir)
	if err != nil {
		return nil, err
	}
	// Asking git for the commit takes longer than an edit deserves, and a commit
	// alone would make a new image of the same code. A flag of the user's that
	// says otherwise comes later and wins.
	const noStamp = "-buildvcs=false"
	cfg.DefaultFlags = append([]string{noStamp}, cfg.DefaultFlags...)
	for importPath, bc := range cfg.BuildConfigs {
		if len(bc.Flags) > 0 { // which replace the default
			bc.Flags = append(ko.FlagArray{noStamp}, bc.Flags...)
			cfg.BuildConfigs[importPath] = bc
		}
	}
	if len(cfg.DefaultLdflags) == 0 {
		cfg.DefaultLdflags = []string{"-s", "-w"}
	}
	cfg.DefaultLdflags = anonymous(cfg.DefaultLdflags)
	for importPath, bc := range cfg.BuildConfigs {
		if len(bc.Ldflags) > 0 { // which replace the default
			bc.Ldflags = anonymous(bc.Ldflags)
			cfg.BuildConfigs[importPath] = bc
		}
	}
	return cfg, nil
}

// anonymous are linker's flags that leave the build ID out of a program, unless
// they speak of it: it tells how something was made, and the same source is to
// give the same image in whatever way.
func anonymous(ldflags []string) []string {
	if slices.ContainsFunc(ldflags, func(flag string) bool { return strings.Contains(flag, "-buildid") }) {
		return ldflags
	}
	return append(slices.Clone(ldflags), "-buildid=")
}

// ConfigFile is the .ko.yaml that Build goes by for a folder, or would if it
// were there.
func ConfigFile(dir string) (string, error) {
	root, err := configRoot(dir)
	return filepath.Join(root, ".ko.yaml"), err
}

// configRoot is the nearest folder from dir upwards that holds a .ko.yaml,
// and the module's root if there is none.
func configRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if exists(filepath.Join(at, ".ko.yaml")) || exists(filepath.Join(at, "go.mod")) {
			return at, nil
		}
		if at == filepath.Dir(at) {
			return dir, nil
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// baseImage is a base image that somebody names; without a name it is the one
// made here.
type baseImage struct {
	ref string
	by  string // who names it, for people
}

// base is the base image of an import path.
func (c *config) base(importPath string) baseImage {
	// viper lower-cases the keys of the file.
	if ref := c.BaseImageOverrides[strings.ToLower(importPath)]; ref != "" {
		return baseImage{ref, c.namer("baseImageOverrides")}
	}
	if c.BaseImage == koDefaultBase {
		return baseImage{}
	}
	return baseImage{c.BaseImage, c.namer("defaultBaseImage")}
}

// namer says where a setting comes from: ko takes a variable before the file.
func (c *config) namer(key string) string {
	if variable := "KO_" + strings.ToUpper(key); os.Getenv(variable) != "" {
		return "the variable " + variable
	}
	return cmp.Or(os.Getenv("KO_CONFIG_PATH"), filepath.Join(c.root, ".ko.yaml"))
}

// inEnv is the configuration with an environment below its own: it wins over
// the shell's, and what .ko.yaml says over both.
func (c *config) inEnv(env []string) *config {
	return c.mapEnv(func(own []string) []string { return slices.Concat(env, own) })
}

// withEnv is the configuration with more environment for the go command.
func (c *config) withEnv(env ...string) *config {
	return c.mapEnv(func(own []string) []string { return slices.Concat(own, env) })
}

// mapEnv is the configuration with another environment in each place where ko
// looks for one.
func (c *config) mapEnv(to func([]string) []string) *config {
	with := *c
	with.DefaultEnv = to(c.DefaultEnv)
	with.BuildConfigs = make(map[string]ko.Config, len(c.BuildConfigs))
	for ip, bc := range c.BuildConfigs {
		if len(bc.Env) > 0 { // ko takes either these or the default
			bc.Env = to(bc.Env)
		}
		with.BuildConfigs[ip] = bc
	}
	return &with
}

// standingIn is the configuration with which ko finds an import path, for its
// kodata, in a module that stands in for its own, and compiles it where it is.
func (c *config) standingIn(importPath, module string) *config {
	with, bc := *c, c.BuildConfigs[importPath]
	if len(bc.Flags) == 0 {
		bc.Flags = c.DefaultFlags
	}
	bc.Flags = append(ko.FlagArray{"-C", c.dir(importPath)}, bc.Flags...) // the go command wants it first
	bc.Dir, with.root = "", module
	with.BuildConfigs = map[string]ko.Config{importPath: bc}
	return &with
}

// dir is where the go command runs for an import path.
func (c *config) dir(importPath string) string {
	return filepath.Join(c.root, c.BuildConfigs[importPath].Dir)
}

// command is how the go command is called for an import path, which is how ko
// does it.
func (c *config) command(importPath string) recipe.Build {
	bc := c.BuildConfigs[importPath]
	flags, ldflags, env := []string(bc.Flags), []string(bc.Ldflags), bc.Env
	if len(flags) == 0 {
		flags = c.DefaultFlags
	}
	if len(ldflags) == 0 {
		ldflags = c.DefaultLdflags
	}
	if len(env) == 0 {
		env = c.DefaultEnv
	}
	return recipe.Build{
		Dir: c.dir(importPath), ImportPath: importPath, Env: slices.Clone(env),
		Flags: append(slices.Clone(flags), "-ldflags="+strings.Join(ldflags, " ")),
	}
}

// how sums up all that decides how an import path is built, but for its files.
func (c *config) how(importPath string) string {
	return fmt.Sprintf("%q %q %q %q", c.command(importPath), c.BuildConfigs[importPath].LinuxCapabilities, c.base(importPath).ref, os.Environ())
}

// flags are the build flags and the environment of an import path. Flags that
// are templates are left out: they stamp, they do not choose files.
func (c *config) flags(importPath string) (flags, env []string) {
	flags, env = c.DefaultFlags, c.DefaultEnv
	bc := c.BuildConfigs[importPath]
	if len(bc.Flags) > 0 {
		flags = bc.Flags
	}
	if len(bc.Env) > 0 {
		env = bc.Env
	}
	flags = slices.DeleteFunc(slices.Clone(flags), func(f string) bool { return strings.Contains(f, "{{") })
	return flags, slices.Clone(env)
}
