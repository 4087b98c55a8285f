package build

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"

	ko "github.com/google/ko/pkg/build"
	"github.com/google/ko/pkg/commands/options"
)

// koDefaultBase is what ko's configuration names when the user's names no
// base image.
const koDefaultBase = "cgr.dev/chainguard/static:latest"

// config is a .ko.yaml, with the loop's defaults for what it leaves open.
type config struct {
	options.BuildOptions
	root string // the folder of .ko.yaml, else the module's
}

func load(dir string) (*config, error) {
	root, err := configRoot(dir)
	if err != nil {
		return nil, err
	}
	cfg := &config{root: root}
	cfg.WorkingDirectory = root
	if err := cfg.LoadConfig(); err != nil {
		return nil, err
	}
	if len(cfg.DefaultFlags) == 0 {
		// Asking git for the commit takes longer than an edit deserves, and
		// a commit alone would make a new image of the same code.
		cfg.DefaultFlags = []string{"-buildvcs=false"}
	}
	if len(cfg.DefaultLdflags) == 0 {
		cfg.DefaultLdflags = []string{"-s", "-w"}
	}
	return cfg, nil
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

// dir is where the go command runs for an import path.
func (c *config) dir(importPath string) string {
	return filepath.Join(c.root, c.BuildConfigs[importPath].Dir)
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
