package build

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"text/template"

	ko "github.com/google/ko/pkg/build"
	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/modfile"
)

// ConfigError says what is wrong with a .ko.yaml.
type ConfigError struct {
	File string
	Err  error
}

func (e *ConfigError) Error() string { return e.File + ": " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// koFile is the configuration that ko reads for a folder, whether it is there
// or not.
func koFile(root string) string {
	file := cmp.Or(os.Getenv("KO_CONFIG_PATH"), root)
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		file = filepath.Join(file, ".ko.yaml")
	}
	return file
}

// readBuilds reads what a .ko.yaml says of each main package, by import path,
// and which of its entries are for a folder that is not there. ko's own
// reading refuses all for one of those, and asks the go command for each.
func readBuilds(root string) (builds map[string]ko.Config, unused []string, err error) {
	data, err := os.ReadFile(koFile(root))
	if os.IsNotExist(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	var file struct {
		Builds []ko.Config `yaml:"builds"`
	}
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, nil, err
	}
	builds = map[string]ko.Config{}
	for i, entry := range file.Builds {
		entry.Dir, entry.Main = cmp.Or(entry.Dir, "."), cmp.Or(entry.Main, ".")
		dir := filepath.Join(root, entry.Dir, entry.Main)
		info, err := os.Stat(dir)
		if err == nil && info.Mode().IsRegular() {
			dir = filepath.Dir(dir)
		}
		if err != nil {
			unused = append(unused, fmt.Sprintf("builds: entry %s is for %s, which is not there", cmp.Or(entry.ID, fmt.Sprint("#", i)), filepath.Join(entry.Dir, entry.Main)))
			continue
		}
		builds[importPathOf(real(dir))] = entry
	}
	return builds, unused, nil
}

// checkTemplates says which of the flags is a template that cannot be one.
func (c *config) checkTemplates() error {
	flags := slices.Concat(c.DefaultFlags, c.DefaultLdflags)
	for _, bc := range c.BuildConfigs {
		flags = append(append(flags, bc.Flags...), bc.Ldflags...)
	}
	for _, flag := range flags {
		if _, err := template.New("flag").Parse(flag); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
	}
	return nil
}

// importPathOf is the import path of a package in the module around it.
func importPathOf(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if data, err := os.ReadFile(filepath.Join(at, "go.mod")); err == nil {
			rel, _ := filepath.Rel(at, dir) // at is above dir
			return path.Join(modfile.ModulePath(data), filepath.ToSlash(rel))
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}

// CheckConfig says what is wrong with the .ko.yaml of a folder, as a
// *ConfigError, and what in it is of no use.
func CheckConfig(dir, workDir string) (unused []string, err error) {
	cfg, err := load(dir)
	if err != nil {
		return nil, seenFrom(workDir, err)
	}
	for _, words := range cfg.unused {
		unused = append(unused, relative(workDir, koFile(cfg.root))+": "+words)
	}
	return unused, nil
}

// seenFrom is an error that names its .ko.yaml as a person in workDir would.
func seenFrom(workDir string, err error) error {
	if wrong, ok := errors.AsType[*ConfigError](err); ok {
		wrong.File = relative(workDir, wrong.File)
	}
	return err
}
