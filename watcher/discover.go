package watcher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/graph"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

// manifestName is the file beside main.go that describes the Service.
const manifestName = "service.yaml"

// recursive ends a pattern that names all folders below one.
const recursive = "..."

// Discover finds the targets that the arguments of a command name: folders of
// main packages or of manifests, patterns such as ./..., or, without any,
// ./... again. A main package that is named is a target whether or not it has
// a service.yaml; of what a pattern finds only the main packages with one are,
// or the only main package there is. A folder of manifests alone must be
// named: not all that looks like one is meant for a box.
func Discover(ctx context.Context, dirs []string) ([]Target, error) {
	if len(dirs) == 0 {
		dirs = []string{"./" + recursive}
	}
	found := map[string]Target{} // by folder: two arguments may name one
	for _, arg := range dirs {
		find := named
		if strings.HasSuffix(filepath.ToSlash(arg), recursive) {
			find = matched
		}
		targets, err := find(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, t := range targets {
			found[t.key()+" "+t.Dir] = t
		}
	}
	var targets []Target
	for _, t := range found {
		targets = append(targets, t)
	}
	slices.SortFunc(targets, func(a, b Target) int {
		return cmp.Or(cmp.Compare(kindOf(a), kindOf(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Dir, b.Dir))
	})
	for i := 1; i < len(targets); i++ {
		if a, b := targets[i-1], targets[i]; a.Service != nil && b.Service != nil && a.Name == b.Name && a.Namespace == b.Namespace {
			return nil, fmt.Errorf("%s and %s are both the service %s in namespace %s: give one of them another name in its %s",
				short(a.Dir), short(b.Dir), a.Name, a.Namespace, manifestName)
		}
	}
	return targets, nil
}

// named is the target of a folder.
func named(ctx context.Context, dir string) ([]Target, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such directory", dir)
	case err != nil:
		return nil, fmt.Errorf("looking at a directory: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is a file: name the directory of a main package or of manifests", dir)
	}
	beside, isManifests, err := manifestsIn(dir)
	if err != nil {
		return nil, err
	}
	packages, err := graph.Find(ctx, dir, ".")
	if err != nil && isManifests && !hasSource(dir) {
		return []Target{beside}, nil // of no module, and that is well
	}
	if err != nil {
		return nil, fmt.Errorf("reading the package in %s: %w", dir, err)
	}
	p := packages[0]
	const what = "name the directory of a main package or of manifests, or ./... for all below here that have a " + manifestName
	switch {
	case p.Name == "main":
		return newTargets(p)
	case isManifests:
		return []Target{beside}, nil
	case p.Name == "" && len(p.GoFiles) == 0 && p.Error != nil:
		return nil, fmt.Errorf("%s is no main package: %s; %s", dir, p.Error.Err, what)
	default:
		return nil, fmt.Errorf("%s is no main package but package %s: %s", dir, p.Name, what)
	}
}

// matched are the targets that a pattern finds.
func matched(ctx context.Context, pattern string) ([]Target, error) {
	root := cmp.Or(strings.TrimSuffix(pattern, recursive), ".")
	packages, err := graph.Find(ctx, root, "./"+recursive)
	if err != nil {
		return nil, fmt.Errorf("reading the packages of %s: %w", pattern, err)
	}
	mains := slices.DeleteFunc(packages, func(p graph.Package) bool { return p.Name != "main" })
	described := slices.DeleteFunc(slices.Clone(mains), func(p graph.Package) bool {
		_, err := os.Stat(filepath.Join(p.Dir, manifestName))
		return err != nil
	})
	switch {
	case len(described) > 0:
		mains = described
	case len(mains) == 0:
		return nil, fmt.Errorf("%s: there is no main package", pattern)
	case len(mains) > 1:
		var dirs []string
		for _, p := range mains {
			dirs = append(dirs, short(p.Dir))
		}
		return nil, fmt.Errorf("%s: none of the main packages has a %s: name those that are services (%s)", pattern, manifestName, strings.Join(dirs, " "))
	}
	var targets []Target
	for _, p := range mains {
		of, err := newTargets(p)
		if err != nil {
			return nil, err
		}
		targets = append(targets, of...)
	}
	return targets, nil
}

// kindOf sorts services before manifests.
func kindOf(t Target) int {
	if t.Service != nil {
		return 0
	}
	return 1
}

// newTargets are what the folder of a main package deploys: its service and
// the objects beside it, of which there may be none yet. A program that one
// of the objects runs gets no default Service besides.
func newTargets(p graph.Package) ([]Target, error) {
	beside, _, err := manifestsIn(p.Dir)
	if err != nil {
		return nil, err
	}
	t := Target{Dir: p.Dir, ImportPath: p.ImportPath, ManifestPath: filepath.Join(p.Dir, manifestName)}
	s, described, err := t.describedService()
	if err != nil {
		return nil, err
	}
	if !described {
		set, err := beside.readObjects()
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(set.Objects, func(o manifest.Object) bool { return slices.Contains(o.Programs(), p.ImportPath) }) {
			return []Target{beside}, nil
		}
	}
	t.Name, t.Namespace, t.Service = s.Name, s.Namespace, s
	beside.ManifestPath = filepath.Join(beside.Dir, manifestName)
	return []Target{t, beside}, nil
}

// manifestsIn are the manifests of a folder, and whether there are any.
func manifestsIn(dir string) (t Target, any bool, err error) {
	real, err := filepath.Abs(dir)
	if err == nil {
		real, err = filepath.EvalSymlinks(real)
	}
	if err != nil {
		return Target{}, false, fmt.Errorf("finding a directory: %w", err)
	}
	t = Target{Name: filepath.Base(real), Namespace: metav1.NamespaceDefault, Dir: real}
	set, err := t.readObjects()
	if err != nil {
		return Target{}, false, err
	}
	return t, len(set.Objects)+len(set.Problems) > 0, nil
}

// readManifest is the Service that service.yaml describes, or the default one.
func (t Target) readManifest() (*servingv1.Service, error) {
	s, _, err := t.describedService()
	return s, err
}

// describedService is readManifest, and whether service.yaml has a Service.
func (t Target) describedService() (s *servingv1.Service, described bool, err error) {
	data, err := os.ReadFile(t.ManifestPath)
	if errors.Is(err, fs.ErrNotExist) {
		return defaultService(t), false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("reading a manifest: %w", err)
	}
	data, others := manifest.WithoutOthers(t.ManifestPath, data)
	if others && len(bytes.TrimSpace(data)) == 0 {
		return defaultService(t), false, nil
	}
	s, err = servingv1.Decode(short(t.ManifestPath), data)
	if err != nil {
		return nil, true, err
	}
	s.Namespace = cmp.Or(s.Namespace, metav1.NamespaceDefault)
	return s, true, nil
}

// defaultService runs the program and says nothing else.
func defaultService(t Target) *servingv1.Service {
	s := &servingv1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: servingv1.GroupVersion.String(), Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: serviceName(filepath.Base(t.Dir)), Namespace: metav1.NamespaceDefault},
	}
	s.Spec.Template.Spec.Containers = []servingv1.Container{{Image: "ko://" + t.ImportPath}}
	return s
}

// serviceName makes a name that DNS and Kubernetes take out of a folder's.
func serviceName(folder string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, folder)
	name = strings.Trim(name, "-")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = strings.TrimSuffix("app-"+name, "-")
	}
	return strings.TrimRight(name[:min(len(name), validation.DNS1035LabelMaxLength)], "-")
}

// short is a path as a person in the working directory would write it.
func short(path string) string {
	here, err := workDir()
	if err != nil {
		return path
	}
	return relative(here, path)
}

// workDir is the working directory without links, as all paths here are.
func workDir() (string, error) {
	dir, err := filepath.Abs(".")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("finding the working directory: %w", err)
	}
	return dir, nil
}

// relative is path as seen from dir where that is shorter, which is the go
// command's rule too.
func relative(dir, path string) string {
	if rel, err := filepath.Rel(dir, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
