package app

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

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/kind-in-a-box/devbox/internal/goenv"
	"github.com/kind-in-a-box/devbox/internal/push"
	"github.com/kind-in-a-box/devbox/watcher"
	"github.com/kind-in-a-box/devbox/watcher/build"
)

func (d *devbox) releaseCommand() *cobra.Command {
	var options build.ReleaseOptions
	file := ""
	cmd := &cobra.Command{
		Use:   "release [directory...]",
		Short: "Build images for another registry, and print the manifests that name them",
		Long: `Build the programs of the directories for a registry of yours, push them there, and
print the manifests with the images' digests in the place of their ko:// names: the
services, and all objects beside them, in the order to apply them.

It is ko's own build, as ` + "`ko resolve`" + ` does it: with trimpath, its base image, its bill
of materials, the platforms of .ko.yaml or --platform, and image names that end in a
hash of the import path. Nothing of the loop is in it, and no .env. The same source
gives the same digests. ko signs nothing, and so does this.

The login of ` + "`docker login`" + ` counts. Nothing is printed or written unless all of it is
pushed. ` + "`devbox deploy -f`" + ` applies the manifests to a box, kubectl to any cluster.`,
		Example: `  devbox release ./... --registry registry.example.com/team | kubectl apply -f -
  devbox release ./hello --registry registry.example.com/team --tag v3 -o hello.yaml
  devbox release ./... --registry ghcr.io/me --platform linux/amd64,linux/arm64 -o deploy/`,
		RunE: func(cmd *cobra.Command, dirs []string) error {
			if options.Registry == "" {
				return &problem{code: codeUsage, cause: errors.New("--registry says where the images go, as HOST/PATH"), next: "devbox release --help"}
			}
			if err := cmp.Or(wellNamed(cmd.Context(), options), writable(file)); err != nil {
				return classify(codeUsage, err, "devbox release --help")
			}
			return d.release(cmd.Context(), dirs, options, file)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.Registry, "registry", "", "push here, as HOST/PATH")
	envName(flags, "registry")
	alsoVariable(flags, "registry", "KO_DOCKER_REPO")
	flags.StringSliceVar(&options.Tags, "tag", nil, "tag the images with this, in the place of latest; may be repeated")
	flags.StringSliceVar(&options.Platforms, "platform", nil, "build for this platform, as OS/ARCHITECTURE, or all; may be repeated")
	flags.BoolVar(&options.Insecure, "insecure-registry", false, "push in plain HTTP, or to a registry whose certificate nobody has signed")
	flags.StringVarP(&file, "output", "o", "", "write into this file, or into a file for each directory in this folder; - is stdout")
	return cmd
}

// wellNamed says what no registry or compiler would take, before either is asked.
func wellNamed(ctx context.Context, options build.ReleaseOptions) error {
	for _, tag := range options.Tags {
		if _, err := name.NewTag("registry/image:" + tag); err != nil || tag == "" {
			return fmt.Errorf("--tag %q: a tag has letters, digits, dots, dashes and underscores", tag)
		}
	}
	if len(options.Platforms) == 0 || slices.Equal(options.Platforms, []string{"all"}) {
		return nil
	}
	known, err := goenv.Output(goenv.Command(ctx, "tool", "dist", "list"))
	if err != nil {
		return fmt.Errorf("asking go for its platforms: %w", err)
	}
	for _, said := range options.Platforms {
		p, err := v1.ParsePlatform(said)
		if err != nil || !slices.Contains(strings.Fields(string(known)), p.OS+"/"+p.Architecture) {
			return fmt.Errorf("--platform %q: it is OS/ARCHITECTURE, as `go tool dist list` has them, or all alone", said)
		}
	}
	return nil
}

// writable says where manifests cannot be written.
func writable(file string) error {
	if file == "" || file == "-" {
		return nil
	}
	folder := filepath.Dir(file) // of deploy/ it is deploy
	info, err := os.Stat(folder)
	if err == nil && info.IsDir() {
		return nil
	}
	p := &problem{code: codeUsage, cause: fmt.Errorf("-o %s: there is no folder %s", file, folder), next: "devbox release --help"}
	if errors.Is(err, fs.ErrNotExist) {
		p.next = "mkdir -p " + folder
	}
	return p
}

// release makes all of it before any of it is printed or written.
func (d *devbox) release(ctx context.Context, dirs []string, options build.ReleaseOptions, file string) error {
	targets, leftOut, err := watcher.Discover(ctx, dirs)
	if err != nil {
		return ofInput(err)
	}
	if options.WorkDir, err = os.Getwd(); err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	releaser, err := build.NewReleaser(options)
	if err != nil {
		return ofInput(fmt.Errorf("--registry: %w", err))
	}
	releases, err := watcher.Releases(ctx, targets, announced{d, releaser})
	if err != nil {
		return d.ofRelease(ctx, err)
	}
	for _, r := range releases {
		leftOut = append(leftOut, r.LeftOut...)
	}
	for _, left := range leftOut {
		fmt.Fprintf(d.stderr, "   not released: %s\n", left)
	}
	return d.writeReleases(releases, file)
}

// announced says which images are pushed.
type announced struct {
	d *devbox
	*build.Releaser
}

func (a announced) Release(ctx context.Context, dir, importPath string) (string, error) {
	ref, err := a.Releaser.Release(ctx, dir, importPath)
	if err == nil {
		fmt.Fprintf(a.d.stderr, "   ko://%s is %s\n", importPath, ref)
	}
	return ref, err
}

// ofRelease puts what is in the way of a release into its class.
func (d *devbox) ofRelease(ctx context.Context, err error) error {
	pushing, ok := errors.AsType[*build.PushError](err)
	switch {
	case interrupted(ctx):
		return cutShort(ctx, err, "the same command again; no manifest was printed or written")
	case ok:
		return notPushed(pushing)
	case is[*build.CompileError](err), is[*build.ImageError](err):
		return classify(codeBuild, err, "")
	}
	return ofInput(err)
}

// notPushed is what a registry's answer means to a person.
func notPushed(err *build.PushError) error {
	refused, ok := errors.AsType[*push.RefusedError](push.Refusal(err.Registry, err.Err))
	if !ok {
		return &problem{code: codeFailure, cause: err}
	}
	p := &problem{code: codeFailure, cause: refused, next: refused.Hint}
	if refused.Plain {
		p.next += "; or --insecure-registry, which everybody on the way can read and change"
	}
	return p
}

// writeReleases writes manifests to stdout, into one file, or into a file for each
// directory.
func (d *devbox) writeReleases(releases []watcher.Release, file string) error {
	var all [][]byte
	for _, r := range releases {
		if len(r.Manifests) > 0 {
			all = append(all, r.Manifests)
		}
	}
	joined := bytes.Join(all, []byte("---\n"))
	if file == "" || file == "-" {
		_, err := d.stdout.Write(joined)
		return err
	}
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		for _, r := range releases {
			if err := d.writeRelease(filepath.Join(file, r.Name+".yaml"), r.Manifests); err != nil {
				return err
			}
		}
		return nil
	}
	return d.writeRelease(file, joined)
}

func (d *devbox) writeRelease(file string, manifests []byte) error {
	if err := os.WriteFile(file, manifests, 0o644); err != nil {
		return fmt.Errorf("writing the manifests: %w", err)
	}
	_, err := fmt.Fprintln(d.stdout, file)
	return err
}
