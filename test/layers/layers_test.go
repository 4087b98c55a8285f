package layers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

const module = "github.com/kind-in-a-box/devbox"

// only names, for each library that is heavy or foreign, the packages of ours
// that alone may import it, so that replacing it is the work of one folder.
var only = []struct {
	library  string
	importer []string
	reason   string
}{
	{"github.com/google/ko", []string{"watcher/build"}, "ko is one way to build; the rest knows images"},
	{"helm.sh/helm/v3", []string{"bootstrap/helm"}, "the Helm SDK is one way to install a chart"},
	{"sigs.k8s.io/kind", []string{"bootstrap/kind/cluster"}, "kind is one engine"},
	{"istio.io/client-go", []string{"serving/ingress"}, "Istio's types are one way to program an ingress"},
	{"istio.io/api/security", []string{"serving/mesh"}, "the mesh's certificates are asked for in one place"},
	{"istio.io/api", []string{"serving/ingress", "serving/mesh"}, "Istio's types are one way to program an ingress"},
	{"istio.io/istio", []string{"charts/istio"}, "Istio's charts come from its module; nothing else of it is used"},
	{"k8s.io/kubernetes/pkg/credentialprovider", []string{"serving/pullsecrets"}, "which credentials are for an image is kubelet's to say"},
	{"k8s.io/kubernetes", []string{"bootstrap/embedded", "serving/pullsecrets"}, "Kubernetes' own servers run in the embedded engine"},
	{"gvisor.dev/gvisor", []string{"bootstrap/embedded/network"}, "a user-space stack is one way out of a pod's network"},
	{"github.com/vishvananda/netlink", []string{"bootstrap/embedded/network"}, "only pods' own networks are set up"},
	{"go.etcd.io/etcd/server/v3", []string{"bootstrap/embedded"}, "etcd runs in the embedded engine"},
	{"github.com/tsenart/vegeta/v12", []string{"internal/load"}, "vegeta is one way to put a load on a box"},
	{"github.com/grafana/grafana-foundation-sdk", []string{"charts/dashboards"}, "Grafana is one reader of the list of panels"},
	{"github.com/compose-spec/compose-go", []string{"watcher/dotenv"}, "one reading of a .env"},
	{"github.com/fsnotify/fsnotify", []string{"watcher/notify"}, "the file system's events are settled in one place"},
}

// arrows names, for each part, the parts it may import. A part that is not
// named may import whatever lies below the longest name that is.
var arrows = []struct {
	from string
	to   []string
}{
	{module, []string{"cmd/devbox/app"}}, // the root
	{"cmd/devbox", []string{"internal/compile", "internal/event", "internal/terminal"}},
	{"cmd/devbox/app", []string{"bootstrap", "watcher", "serving/api", "serving/autoscaler", "charts", "internal"}},
	{"cmd/box", []string{"bootstrap", "internal/idle"}},
	{"cmd/dist", []string{"cmd/devbox/app", "internal/compile", "internal/goenv", "internal/platform", "internal/release", "watcher/build"}},
	{"cmd/serving", []string{"serving", "internal/patient"}},
	{"cmd/queue", []string{"serving/queue", "serving/proxy", "serving/standby"}},
	{"bootstrap", []string{"bootstrap/images", "bootstrap/docker", "internal/event", "serving/api"}}, // no engine
	{"bootstrap/docker", nil},
	{"bootstrap/helm", nil},
	{"bootstrap/images", []string{"bootstrap/docker"}},
	{"bootstrap/parts", []string{"bootstrap", "charts"}},
	{"bootstrap/kind", []string{"bootstrap", "charts", "internal/push", "serving/api"}},
	{"bootstrap/kind/cluster", []string{"bootstrap/docker"}},
	{"bootstrap/context", []string{"bootstrap", "charts", "internal/push", "serving/api"}},
	{"bootstrap/rollout", nil},
	{"bootstrap/embedded", []string{"bootstrap", "charts", "internal/event", "internal/compile", "internal/platform", "internal/push", "serving"}},
	{"charts", nil},
	{"charts/istio", nil},
	{"charts/knative", []string{"charts", "serving/api", "serving/config"}},
	{"charts/dashboards", []string{"internal/panel"}},
	{"watcher", []string{"watcher", "internal/event", "internal/push", "serving/api"}},
	{"watcher/notify", nil},
	{"watcher/graph", []string{"internal/goenv"}},
	{"watcher/build", []string{"watcher/build", "watcher/graph", "internal/goenv", "internal/push"}},
	{"watcher/manifest", []string{"serving/api"}},
	{"watcher/delve", []string{"serving/api"}},
	{"watcher/dotenv", []string{"serving/api"}},
	{"watcher/deploy", []string{"serving/api", "internal/event", "internal/patient"}},
	{"serving/api/v1", nil},
	{"serving/api/v1beta1", []string{"serving/api/v1"}},
	{"serving/settings", nil},
	{"serving/trace", []string{"serving/settings"}},
	{"serving/config", []string{"serving/api", "serving/settings"}},
	{"serving/desired", []string{"serving/api", "serving/config", "serving/standby", "serving/trace"}},
	{"serving/ingress", []string{"serving/api"}},
	{"serving/pullsecrets", nil},
	{"serving/standby", nil},
	{"serving/stream", nil},
	{"serving/proxy", nil},
	{"serving/queue", []string{"serving/proxy", "serving/settings", "serving/trace"}},
	{"serving/autoscaler", []string{"serving/api", "serving/stream"}},
	{"serving/mesh", nil},
	{"serving/activator", []string{"serving/api", "serving/mesh", "serving/proxy", "serving/settings", "serving/stream", "serving/trace"}},
	{"serving/targets", []string{"serving/api"}},
	{"serving/registry", []string{"serving/proxy"}},
	{"serving/runner", []string{"serving/runner"}},
	{"serving/controller", []string{"serving/api", "serving/config", "serving/desired", "serving/ingress", "serving/mesh", "serving/autoscaler", "serving/pullsecrets", "serving/queue", "serving/registry", "serving/settings", "serving/standby", "serving/stream", "serving/trace"}},
	{"internal/event", nil},
	{"internal/compile", []string{"internal/goenv"}},
	{"internal/goenv", nil},
	{"internal/idle", nil},
	{"internal/platform", nil},
	{"internal/push", nil},
	{"internal/release", nil},
	{"internal/load", nil},
	{"internal/compare", []string{"internal/event", "internal/load", "serving/api"}},
	{"internal/loopbench", []string{"internal/event", "internal/goenv", "watcher"}},
	{"internal/history", []string{"internal/event"}},
	{"internal/page", []string{"internal/compare", "internal/event", "internal/history", "internal/panel", "internal/patient", "internal/tail", "internal/way", "serving/api"}},
	{"internal/panel", nil},
	{"internal/patient", nil},
	{"internal/served", nil},
	{"internal/tail", []string{"serving/api"}},
	{"internal/tally", []string{"internal/event"}},
	{"internal/terminal", []string{"internal/event"}},
	{"internal/netfilter", nil},
	{"internal/way", []string{"internal/netfilter", "serving/proxy"}}, // reads what the proxies report, by the one definition of it
	{"examples", nil},
}

// standardOnly start in every pod, so they and all they import are the
// standard library and our own packages of the same kind.
var standardOnly = []string{"cmd/queue", "serving/proxy", "serving/queue", "serving/settings", "serving/standby", "serving/stream", "serving/trace", "examples/hello", "examples/autoscale"}

type pkg struct {
	ImportPath string
	Dir        string
	Imports    []string
	Deps       []string
	Standard   bool
	Name       string
	GoFiles    []string
}

// packages are all of ours, by their path in the module.
var packages = sync.OnceValues(func() (map[string]pkg, error) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,Deps,Standard,Name,GoFiles", module+"/...")
	cmd.Env = append(os.Environ(), "GOOS=linux")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages: %w\n%s", err, stderr.String())
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading the list of packages: %w", err)
		}
		pkgs[strings.TrimPrefix(p.ImportPath, module+"/")] = p
	}
})

func load(t *testing.T) map[string]pkg {
	t.Helper()
	pkgs, err := packages()
	if err != nil {
		t.Fatal(err)
	}
	return pkgs
}

func under(path, parent string) bool { return path == parent || strings.HasPrefix(path, parent+"/") }

func TestOneImporterForEachLibrary(t *testing.T) {
	for name, p := range load(t) {
		for _, imp := range p.Imports {
			for _, o := range only {
				if under(imp, o.library) && !slices.ContainsFunc(o.importer, func(i string) bool { return under(name, i) }) {
					t.Errorf("%s imports %s; only %s may: %s", name, imp, strings.Join(o.importer, ", "), o.reason)
				}
			}
		}
	}
}

func TestArrowsPointOneWay(t *testing.T) {
	for name, p := range load(t) {
		rule := -1
		for i, a := range arrows {
			if under(name, a.from) && (rule < 0 || len(a.from) > len(arrows[rule].from)) {
				rule = i
			}
		}
		if rule < 0 {
			continue // test/..., which may look at everything
		}
		for _, imp := range p.Imports {
			ours, ok := strings.CutPrefix(imp, module+"/")
			if !ok || under(ours, name) {
				continue
			}
			if !slices.ContainsFunc(arrows[rule].to, func(to string) bool { return under(ours, to) }) {
				t.Errorf("%s imports %s; %s may import of ours only %v", name, ours, arrows[rule].from, arrows[rule].to)
			}
		}
	}
}

// engines names the folder of each engine, with those besides itself that may
// import from it: the file that chooses, and the program that is a box.
var engines = map[string][]string{
	"bootstrap/kind":     {"cmd/devbox/app/engines.go"},
	"bootstrap/embedded": {"cmd/devbox/app/engines.go", "cmd/box/main.go"},
	"bootstrap/context":  {"cmd/devbox/app/engines.go"},
}

// TestNobodyNamesAnEngine but the one place that chooses.
func TestNobodyNamesAnEngine(t *testing.T) {
	for name, p := range load(t) {
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				path, _ := strings.CutPrefix(strings.Trim(imp.Path.Value, `"`), module+"/")
				for engine, may := range engines {
					if under(path, engine) && !under(name, engine) && !under(name, "test") && !slices.Contains(may, name+"/"+file) {
						t.Errorf("%s/%s imports %s; of an engine only %v know more than bootstrap.Engine", name, file, path, may)
					}
				}
			}
		}
	}
}

// TestCommandLinksNoServer: whoever changes a line of the command, or has its
// first build ahead, does not wait for an API server that a box of its own
// program runs.
func TestCommandLinksNoServer(t *testing.T) {
	for _, dep := range load(t)[module].Deps {
		for _, server := range []string{"k8s.io/kubernetes", "k8s.io/apiserver/pkg/server", "go.etcd.io/etcd/server/v3", "gvisor.dev/gvisor", module + "/bootstrap/embedded/box"} {
			if under(dep, server) {
				t.Errorf("devbox links %s", dep)
			}
		}
	}
}

// launcher is what cmd/devbox may need besides the standard library and ours.
var launcher = []string{module, "golang.org/x/mod", "golang.org/x/sys", "golang.org/x/term", "github.com/mattn/go-runewidth", "github.com/rivo/uniseg"}

// TestLauncherIsSmall: it is compiled without a word, so it must be soon.
func TestLauncherIsSmall(t *testing.T) {
	for _, dep := range load(t)["cmd/devbox"].Deps {
		first, _, _ := strings.Cut(dep, "/")
		if strings.Contains(first, ".") && !slices.ContainsFunc(launcher, func(name string) bool { return under(dep, name) }) {
			t.Errorf("cmd/devbox links %s; it is to be compiled within a minute", dep)
		}
	}
}

func TestSidecarIsStandardLibraryOnly(t *testing.T) {
	pkgs := load(t)
	for _, name := range standardOnly {
		p, ok := pkgs[name]
		if !ok {
			t.Errorf("%s is not there", name)
		}
		for _, dep := range p.Deps {
			if first, _, _ := strings.Cut(dep, "/"); strings.Contains(first, ".") && !under(dep, module) {
				t.Errorf("%s depends on %s, which is not of the standard library", name, dep)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for name, p := range load(t) {
		if !hasDoc(t, p) {
			t.Errorf("%s has no package comment", name)
		}
	}
}

func hasDoc(t *testing.T, p pkg) bool {
	t.Helper()
	if len(p.GoFiles) == 0 {
		return true // tests only
	}
	for _, file := range p.GoFiles {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return true
		}
	}
	return false
}

// TestTopLevel keeps the top of the tree to what a newcomer expects there.
func TestTopLevel(t *testing.T) {
	want := []string{".ci", ".git", ".gitignore", ".golangci.yml", "LICENSE", "Makefile", "README.md", "bin", "bootstrap", "charts", "cmd", "docs", "examples", "go.mod", "go.sum", "internal", "main.go", "serving", "test", "watcher"}
	entries, err := fs.ReadDir(os.DirFS("../.."), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s is at the top of the tree; what is it, and does it not belong below %v?", e.Name(), fmt.Sprint(want))
		}
	}
}
