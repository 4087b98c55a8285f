package app

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/watcher"
)

func (d *devbox) initCommand() *cobra.Command {
	debug := false
	cmd := &cobra.Command{
		Use:   "init [directory]",
		Short: "Write the service.yaml of a main package that has none",
		Long: `Write the service.yaml of a main package that has none: the Service that
` + "`devbox up`" + ` would make of it anyway, as a place for your changes. A file that is
there is never overwritten.

--debug writes, instead and into the working directory, what VS Code
(.vscode/launch.json) and GoLand (.run) need to debug the services in the directory,
and prints the command that runs them so.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			targets, _, err := watcher.Discover(cmd.Context(), []string{dir})
			if err != nil {
				return ofInput(err)
			}
			if debug {
				return d.initDebug(targets)
			}
			for _, target := range targets {
				if target.Service == nil {
					continue // manifests, which are there
				}
				if err := d.write(target); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&debug, "debug", false, "write what VS Code and GoLand need to debug what `devbox up --debug` runs")
	return cmd
}

// write gives a target its manifest, and prints the file's path.
func (d *devbox) write(target watcher.Target) error {
	file, err := os.OpenFile(target.ManifestPath, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return classify(codeUsage, fmt.Errorf("%s is there already", target.ManifestPath), "")
	}
	if err != nil {
		return fmt.Errorf("writing a manifest: %w", err)
	}
	_, err = file.WriteString(target.DefaultManifest())
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("writing a manifest: %w", err)
	}
	_, err = fmt.Fprintln(d.stdout, target.ManifestPath)
	return err
}
