package app

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/internal/release"
)

// version is what `devbox version` reports.
type version struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source tree
	Modified bool   `json:"modified,omitempty"` // the tree had changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
	// Modules are the libraries that a box is made with.
	Modules []module `json:"modules"`
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

// shown are the modules worth a line.
var shown = []string{
	"github.com/google/ko", "helm.sh/helm/v3", "istio.io/istio", "k8s.io/client-go", "sigs.k8s.io/kind",
}

func (d *devbox) versionCommand() *cobra.Command {
	check := false
	cmd := d.reports(&cobra.Command{
		Use:   "version",
		Short: "Print the version of devbox and of what it is made with",
		Long: `Print the version of devbox and of what it is made with. --check holds what was
unpacked from a release's archive against the archive's checksums, and names each
file that is missing, damaged or of another version.`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			if check {
				return d.checkRelease()
			}
			info, _ := debug.ReadBuildInfo()
			v := versionOf(info)
			if d.output == jsonFormat {
				return d.printJSON(v)
			}
			table := tabwriter.NewWriter(d.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintf(table, "devbox\t%s\n", strings.TrimSpace(v.Version+" "+v.tree()))
			fmt.Fprintf(table, "go\t%s %s\n", v.Go, v.Platform)
			for _, m := range v.Modules {
				fmt.Fprintf(table, "%s\t%s\n", m.Path, m.Version)
			}
			return table.Flush()
		},
	}, "text or json")
	cmd.Flags().BoolVar(&check, "check", false, "verify the files of the release that this devbox was unpacked from")
	return cmd
}

// checkRelease says whether what lies beside this program is what was released
// with it.
func (d *devbox) checkRelease() error {
	dir, ok := release.Beside()
	if !ok {
		return classify(codeFailure, errors.New("this devbox was not unpacked from a release: there is no "+release.Sums+" beside it"), "")
	}
	files, err := dir.Check()
	if err != nil {
		return notWhole(dir, err)
	}
	if d.output == jsonFormat {
		return d.printJSON(map[string]any{"directory": dir, "files": files})
	}
	fmt.Fprintf(d.stdout, "%d files in %s are as they were released\n", files, dir)
	return nil
}

// versionOf reads what the linker has written into the binary.
func versionOf(info *debug.BuildInfo) version {
	v := version{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info == nil {
		return v
	}
	v.Version = cmp.Or(info.Main.Version, "(devel)")
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.Revision = setting.Value
		case "vcs.modified":
			v.Modified = setting.Value == "true"
		}
	}
	for _, dependency := range info.Deps {
		if slices.Contains(shown, dependency.Path) {
			v.Modules = append(v.Modules, module{dependency.Path, dependency.Version})
		}
	}
	return v
}

// tree names the source tree as git does.
func (v version) tree() string {
	if v.Revision == "" {
		return ""
	}
	tree := v.Revision[:min(12, len(v.Revision))]
	if v.Modified {
		tree += ", modified"
	}
	return "(" + tree + ")"
}
