package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/internal/event"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/manifest"
)

func (d *devbox) deployCommand() *cobra.Command {
	var files []string
	cmd := d.reports(&cobra.Command{
		Use:   "deploy -f file",
		Short: "Apply manifests whose images are built to the box, and wait until they are live",
		Long: `Apply manifests to the box, such as ` + "`devbox release`" + ` has made, by server-side apply,
and wait until all of it is live. It builds and watches nothing, and what it applies
belongs to no directory: it stays until somebody deletes it. The box itself fetches
the images.

It ends as ` + "`devbox up --detach`" + ` does: with 2 where a file is wrong, and nothing was
touched, with 6 where a revision does not get ready or an object is refused.`,
		Example: `  devbox release ./... --registry registry.example.com/team | devbox deploy -f -
  devbox deploy -f hello.yaml
  devbox deploy -f deploy/ -o json`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(files) == 0 {
				return &problem{code: codeUsage, cause: errors.New("-f says which manifests"), next: "devbox deploy --help"}
			}
			set, err := d.written(files)
			if err != nil {
				return ofInput(err)
			}
			c, err := d.cluster(cmd.Context())
			if err != nil {
				return err
			}
			reader := d.reader()
			defer reader.Close()
			kept, err := d.recorder()
			if err != nil {
				return err
			}
			defer kept.Close()
			return d.ending(c.deploy(cmd.Context(), strings.Join(files, ", "), set, both(reader.Show, kept.Show)), reader.Show)
		},
	}, "text, or json for one event a line")
	cmd.Flags().StringSliceVarP(&files, "filename", "f", nil, "a file of manifests, a folder of them, or - for stdin; may be repeated")
	return cmd
}

// written reads manifests, all of which must be of use.
func (d *devbox) written(names []string) (*manifest.Set, error) {
	var files []manifest.File
	for _, name := range names {
		paths := []string{name}
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			if paths, err = manifest.Files(name); err != nil {
				return nil, err
			}
		}
		for _, path := range paths {
			file, err := d.readFile(path)
			if err != nil {
				return nil, err
			}
			files = append(files, file)
		}
	}
	set := manifest.Decode(files)
	var wrong []error
	for _, p := range set.Problems {
		wrong = append(wrong, p)
	}
	for _, l := range set.LeftOut {
		wrong = append(wrong, fmt.Errorf("%s: %s", l.File, l.Why))
	}
	for _, o := range set.Objects {
		if programs := o.Programs(); len(programs) > 0 {
			wrong = append(wrong, manifest.Problem{
				File: o.File, Document: o.Document, Line: o.Line,
				Words: fmt.Sprintf("%s runs ko://%s, which is not built: `devbox release` prints it with an image, and `devbox up` builds it", o.Title(), programs[0]),
			})
		}
	}
	if len(set.Objects) == 0 && len(wrong) == 0 {
		wrong = append(wrong, fmt.Errorf("%s: there is no object in it", strings.Join(names, ", ")))
	}
	return set, errors.Join(wrong...)
}

// readFile reads a file, or stdin.
func (d *devbox) readFile(path string) (manifest.File, error) {
	if path == "-" {
		data, err := io.ReadAll(d.stdin)
		if err != nil {
			return manifest.File{}, fmt.Errorf("reading manifests from stdin: %w", err)
		}
		return manifest.File{Path: "stdin", Data: data}, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return manifest.File{}, fmt.Errorf("reading manifests: %w", err)
	}
	return manifest.File{Path: path, Data: data}, nil
}

// deploy applies a set, and waits until it is live.
func (c *cluster) deploy(ctx context.Context, name string, set *manifest.Set, events event.Sink) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	targets, guest := []watcher.Target{watcher.Written(name, set)}, guestOf(c.box)
	if guest != nil {
		var err error
		if targets, err = watcher.AsGuest(targets, guest, archsOf(c.box)); err != nil {
			return ofInput(err)
		}
	}
	err := watcher.Run(ctx, watcher.Config{
		Targets:  targets,
		Guest:    guest,
		Registry: registryOf(c.box),
		REST:     c.config,
		Gateway:  c.box.Gateway(),
		Domain:   c.box.Domain,
		Engine:   c.box.Engine,
		Once:     true,
		Events:   events,
		Command:  c.d.command,
	})
	return c.d.ofService(cutShort(ctx, err, "the same command goes on from here; what was applied stays"))
}
