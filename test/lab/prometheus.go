package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// prometheusPackages are Prometheus, and what its page shows itself with.
var prometheusPackages = []string{
	"prometheus", "fonts-glyphicons-halflings", "libjs-bootstrap4", "libjs-d3", "libjs-eonasdan-bootstrap-datetimepicker",
	"libjs-jquery", "libjs-jquery-hotkeys", "libjs-moment", "libjs-moment-timezone", "libjs-mustache", "libjs-popper.js",
	"libjs-rickshaw",
}

// prometheusImage is Prometheus as Debian builds it: its own Go module takes
// nine minutes to compile and has no page.
func prometheusImage(packages, debian *artefact) recipe {
	return recipe{
		name:  "prometheus image",
		needs: []*artefact{packages, debian},
		files: []string{"prometheus.go", "packages.go", "tree.go", "image.go", "libraries.go", "smoke.go"},
		build: func(ctx context.Context, b *bench) error {
			const program = "/usr/bin/prometheus"
			root := packages.path("root")
			t := newTree()
			t.folder("/tmp", fs.ModeSticky|0o777)
			t.file(program, filepath.Join(root, program), 0o755)
			t.file(certificates, debian.path("root", certificates), 0o644)
			if err := t.addLibraries(debian.path("root")); err != nil {
				return err
			}
			if err := t.addPage(root); err != nil {
				return err
			}
			img, err := treeImage(b, v1.Config{Entrypoint: []string{program}}, t, plain)
			if err != nil {
				return err
			}
			if err := smoke(ctx, b, img, says("prometheus, version 2.", program, "--version")); err != nil {
				return err
			}
			return writeLayout(b.dir, []v1.Image{img}, []map[string]string{nil})
		},
	}
}

// addPage adds Prometheus' page with the libraries that it loads. Of the time
// zones, of which there are 200 MB, it asks for one file.
func (t *tree) addPage(root string) error {
	const zones, asked = "/usr/share/javascript/moment-timezone/", "moment-timezone-with-data.min.js"
	if err := t.addUnder(root, "/usr/share/prometheus", "/usr/share/javascript", "/usr/share/nodejs", "/usr/share/fonts-glyphicons"); err != nil {
		return err
	}
	for name := range t.nodes {
		if file, ok := strings.CutPrefix(name, zones); ok && file != asked {
			delete(t.nodes, name)
		}
	}
	return nil
}
