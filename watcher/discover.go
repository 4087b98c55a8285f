package watcher

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	servingv1 "github.com/kind-in-a-box/devbox/serving/api/v1"
	"github.com/kind-in-a-box/devbox/watcher/build"
	"github.com/kind-in-a-box/devbox/watcher/deploy"
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
// named: not all that looks like one is meant for a box. leftOut says, for
// people, which main packages a pattern might be thought to find and does not.
func Discover(ctx context.Context, dirs []string) (targets []Target, leftOut []string, err error) {
	if len(dirs) == 0 {
		dirs = []string{"./" + recursive}
	}
	found := map[string]Target{} // by folder: two arguments may name one
	for _, arg := range dirs {
		var of []Target
		var left []string
		if strings.HasSuffix(filepath.ToSlash(arg), recursive) {
			of, left, err = matched(ctx, arg)
		} else {
			of, err = named(ctx, arg)
		}
		if err != nil {
			return nil, nil, err
		}
		for _, t := range of {
			found[t.key()+" "+t.Dir] = t
		}
		leftOut = union(leftOut, left)
	}
	targets = slices.SortedFunc(maps.Values(found), func(a, b Target) int {
		return cmp.Or(cmp.Compare(kindOf(a), kindOf(b)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Dir, b.Dir))
	})
	for i := 1; i < len(targets); i++ {
		if a, b := targets[i-1], targets[i]; a.Service != nil && b.Service != nil && a.Name == b.Name && a.Namespace == b.Namespace {
			return nil, nil, fmt.Errorf("%s and %s are both the service %s in namespace %s: give one of them another name in its %s",
				short(a.Dir), short(b.Dir), a.Name, a.Namespace, manifestName)
		}
	}
	for i := range targets {
		if targets[i].Service == nil {
			continue
		}
		unused, err := targets[i].check(ctx)
		if err != nil {
			return nil, nil, err
		}
		leftOut = union(leftOut, unused)
	}
	return targets, leftOut, nil
}

// check says what is wrong with the files of a Service, but for its source,
// and what in them is of no use.
func (t *Target) check(ctx context.Context) (unused []string, err error) {
	stale, err := t.checkPrograms(ctx)
	if err != nil {
		return nil, err
	}
	here, err := workDir()
	if err != nil {
		return nil, err
	}
	if _, err := build.Data(t.Dir, here); err != nil {
		return nil, err
	}
	unused, err = build.CheckConfig(t.Dir, here)
	return append(stale, unused...), err
}

// checkPrograms says what is wrong with the programs that a Service's images
// name, and which of them is taken for the folder's own.
func (t *Target) checkPrograms(ctx context.Context) (stale []string, err error) {
	programs, err := deploy.Programs(t.Service, t.ImportPath)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", short(t.ManifestPath), err)
	}
	for _, program := range programs {
		if program == t.ImportPath {
			continue
		}
		_, err := findProgram(ctx, t.Dir, program)
		if err != nil && t.isCopied(ctx, program) {
			t.copiedFrom = "ko://" + program
			t.ownProgram(t.Service)
			return []string{fmt.Sprintf("%s names %s, which no module here has: the folder's own program is served", short(t.ManifestPath), t.copiedFrom)}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", short(t.ManifestPath), err)
		}
	}
	return nil, nil
}

// isCopied says whether a program that cannot be found is the folder's own, by
// the name that it had where the folder was copied from: the only container
// runs it, and it is of another module.
func (t *Target) isCopied(ctx context.Context, program string) bool {
	if len(t.Service.Spec.Template.Spec.Containers) != 1 {
		return false
	}
	own, err := findProgram(ctx, t.Dir, t.ImportPath)
	return err == nil && own.Module != nil && !strings.HasPrefix(program+"/", own.Module.Path+"/")
}

// ownProgram leaves the container of a copied manifest to the folder's program.
func (t *Target) ownProgram(s *servingv1.Service) {
	for i := range s.Spec.Template.Spec.Containers {
		if c := &s.Spec.Template.Spec.Containers[i]; t.copiedFrom != "" && c.Image == t.copiedFrom {
			c.Image = ""
		}
	}
}

// programs are the import paths that a Service runs. One that has no container
// for its directory's own has no other either, as the manifest's check says.
func (t Target) programs() []string {
	if t.Service == nil {
		return nil
	}
	programs, err := deploy.Programs(t.Service, t.ImportPath)
	if err != nil {
		return []string{t.ImportPath}
	}
	return programs
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

// matched are the targets that a pattern finds, and which main packages it
// leaves out that are in a module of their own.
func matched(ctx context.Context, pattern string) (targets []Target, leftOut []string, err error) {
	root := cmp.Or(strings.TrimSuffix(pattern, recursive), ".")
	found, err := graph.Below(ctx, root)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the packages of %s: %w", pattern, err)
	}
	mains, described, err := mainPackages(found.Packages)
	if err != nil {
		return nil, nil, err
	}
	nested, more, err := mainPackages(found.Nested)
	if err != nil {
		return nil, nil, err
	}
	described = append(described, more...)
	for _, dir := range found.Apart {
		leftOut = append(leftOut, short(dir)+" is left out: it is a module that go.work does not use; if it is to be served, `go work use "+short(dir)+"` adds it")
	}
	for _, p := range nested {
		if !isDescribed(p) {
			leftOut = append(leftOut, fmt.Sprintf("%[1]s is left out: its go.mod makes it a module of its own, and without a %[2]s it is not known to be a service; if it is one, name it in the command, or write it a %[2]s with `devbox init %[1]s`", short(p.Dir), manifestName))
		}
	}
	switch {
	case len(described) > 0:
		mains = described
	case len(mains) == 0 && found.Err != nil && len(found.Nested) == 0:
		return nil, nil, fmt.Errorf("%s: %w", pattern, found.Err)
	case len(mains) == 0:
		return nil, nil, errors.New(strings.Join(append([]string{pattern + ": there is no main package"}, leftOut...), "\n"))
	case len(mains) > 1:
		var dirs []string
		for _, p := range mains {
			dirs = append(dirs, short(p.Dir))
		}
		return nil, nil, fmt.Errorf("%s: none of the main packages has a %s: name those that are services (%s)", pattern, manifestName, strings.Join(dirs, " "))
	}
	for _, p := range mains {
		of, err := newTargets(p)
		if err != nil {
			return nil, nil, err
		}
		targets = append(targets, of...)
	}
	return targets, leftOut, nil
}

// mainPackages are the main packages among some, and those of them that a
// service.yaml describes. One that is described and cannot be read is an
// error.
func mainPackages(packages []graph.Package) (mains, described []graph.Package, err error) {
	for _, p := range packages {
		if p.Name != "main" && p.Name != "" {
			continue
		}
		if p.Name == "" {
			if p.Error != nil && isDescribed(p) {
				return nil, nil, fmt.Errorf("reading the package in %s: %s", short(p.Dir), p.Error.Err)
			}
			continue
		}
		mains = append(mains, p)
		if isDescribed(p) {
			described = append(described, p)
		}
	}
	return mains, described, nil
}

// isDescribed says whether a package has a service.yaml.
func isDescribed(p graph.Package) bool {
	_, err := os.Stat(filepath.Join(p.Dir, manifestName))
	return err == nil
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
	if err == nil && t.guest != nil {
		err = t.guest.Adapt(s)
	}
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
	t.ownProgram(s)
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

// DefaultManifest is the service.yaml of a target that has none, as a person
// would write it; the fields that Knative fills in are left to it.
func (t Target) DefaultManifest() string {
	return fmt.Sprintf(`apiVersion: serving.knative.dev/v1
kind: Service
metadata:
  name: %s
spec:
  template:
    spec:
      containers:
        - image: ko://%s
`, t.Name, t.ImportPath)
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
